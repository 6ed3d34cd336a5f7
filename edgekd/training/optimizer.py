"""The optimizer of a training, and the learning rate of each of its steps."""

import math

import torch
from torch import nn

from edgekd.config import Training


def optimizer_for(module: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW.

    Weight decay leaves out what has at most one dimension, as is customary: biases, batch norm, learned ranges.
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.learning_rate)
    return torch.optim.SGD(
        groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.momentum > 0
    )


def learning_rate(step: int, steps: int, settings: Training) -> float:
    """Of step 0 ... steps - 1: a linear rise over the first `warmup` of them, then one cosine to (almost) zero.

    The "constant" schedule stays at its peak: for a stream, which has no end that one would know of.
    """
    rising = int(settings.warmup * steps)
    if step < rising:
        return settings.learning_rate * (step + 1) / (rising + 1)
    if settings.schedule == "constant":
        return settings.learning_rate
    progress = (step - rising) / (steps - rising)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
