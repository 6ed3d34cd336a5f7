"""The optimizer of a training, and the learning rate of each of its steps."""

import math

import torch
from torch import nn

from edgekd.config import Training


def optimizer_for(module: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """Return SGD with Nesterov momentum, or AdamW, for the trainable parameters of `module`.

    Weight decay excludes parameters of at most one dimension, as is customary: biases, batch norm, learned ranges.
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
    """Return the learning rate of step 0 ... steps - 1: a linear warm-up, then one cosine to (almost) zero.

    The "constant" schedule stays at its peak after the warm-up: for a stream, whose length is not known in advance.
    """
    warmup_steps = int(settings.warmup * steps)
    if step < warmup_steps:
        return settings.learning_rate * (step + 1) / (warmup_steps + 1)
    if settings.schedule == "constant":
        return settings.learning_rate
    progress = (step - warmup_steps) / (steps - warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
