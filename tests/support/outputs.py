"""Outputs of networks written by hand, and losses that are connected to layers without running them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgekd.nn.layers import Layer, Networks
from edgekd.nn.outputs import Outputs


def answers(logits: object, **features: object) -> Outputs:
    """Return outputs whose tensors require gradients; without logits they are zeros for two classes."""
    tensors = {name: as_tensor(value) for name, value in features.items()}
    count = len(next(iter(tensors.values()))) if logits is None else 0
    return Outputs(
        torch.zeros(count, 2) if logits is None else as_tensor(logits), tensors, torch.arange(count) if count else None
    )


def as_tensor(value: object) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float32).clone().requires_grad_()


def layers(features: Mapping[str, Tensor], kind: str = "Module", heads: int | None = None) -> tuple[Layer, ...]:
    """Return the layers of a network with these features."""
    return tuple(Layer(name, kind, tuple(value.shape[1:]), heads) for name, value in features.items())


def connected(loss: nn.Module, student: Outputs, teacher: Outputs, samples: int = 8) -> nn.Module:
    """Connect the loss to networks with the layers of these outputs, and return it."""
    loss.connect(Networks(layers(student.features), layers(teacher.features), classes=2, samples=samples))
    return loss


def labels(outputs: Outputs) -> Tensor:
    """Return labels of class 0, for losses that do not use them."""
    return torch.zeros(len(outputs.logits), dtype=torch.int64)


def value(loss: nn.Module, student: Outputs, teacher: Outputs) -> float:
    """Return the value of a loss that does not use the labels."""
    return float(loss(student, teacher, labels(student)).detach())
