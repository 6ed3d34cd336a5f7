"""Answers written out by hand, and losses connected to layers that were never run."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgekd.nn.layers import Layer, Networks
from edgekd.nn.outputs import Outputs


def answers(logits: object, **features: object) -> Outputs:
    """Outputs with these values, whose tensors take gradients; without logits they are zeros for two classes."""
    tensors = {name: as_tensor(value) for name, value in features.items()}
    count = len(next(iter(tensors.values()))) if logits is None else 0
    return Outputs(
        torch.zeros(count, 2) if logits is None else as_tensor(logits), tensors, torch.arange(count) if count else None
    )


def as_tensor(value: object) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float32).clone().requires_grad_()


def layers(features: Mapping[str, Tensor], kind: str = "Module", heads: int | None = None) -> tuple[Layer, ...]:
    """As a survey of a network that gives these features would tell."""
    return tuple(Layer(name, kind, tuple(value.shape[1:]), heads) for name, value in features.items())


def connected(loss: nn.Module, student: Outputs, teacher: Outputs, samples: int = 8) -> nn.Module:
    """The loss, connected to networks that have the layers of these outputs."""
    loss.connect(Networks(layers(student.features), layers(teacher.features), classes=2, samples=samples))
    return loss


def labels(outputs: Outputs) -> Tensor:
    """Of class 0 throughout, for losses that do not look at them."""
    return torch.zeros(len(outputs.logits), dtype=torch.int64)


def value(loss: nn.Module, student: Outputs, teacher: Outputs) -> float:
    """What a loss that does not look at labels gives."""
    return float(loss(student, teacher, labels(student)).detach())
