"""Rounding with gradients, and what the fake-quantised forms of all operators ask of a simulation."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from edgekd.graph.structure import Activation, Kernels, Operator, Quantization, activation_range
from edgekd.graph.structure import Tensor as GraphTensor


class Simulated(Protocol):
    """What the forms need of a simulation."""

    kernels: Kernels

    @property
    def tensors(self) -> dict[str, GraphTensor]:
        """The graph's, by name."""

    def quantization(self, tensor: str) -> Quantization:
        """A tensor's scale and zero point."""

    def parameters_of(self, op: Operator) -> tuple[Tensor, ...]:
        """An operator's float parameters, in the order of `op.parameters`."""

    def observe(self, name: str, computed: Callable[[], Tensor]) -> None:
        """Let a tensor's range follow its real values."""


def input_codes(x: Tensor, quantization: Quantization) -> Tensor:
    """Real values to codes less their zero point."""
    return round_straight(x / quantization.scale).clamp(*limits("none", quantization))


def limits(activation: Activation, quantization: Quantization) -> tuple[int, int]:
    """The lowest and highest code that an activation lets through, less the zero point."""
    low, high = activation_range(activation, quantization)
    return low - quantization.zero_point, high - quantization.zero_point


def round_straight(x: Tensor) -> Tensor:
    """Half to even; the gradient passes straight through."""
    return x + (torch.round(x) - x).detach()


def exactly(value: Tensor, gradient_of: Tensor) -> Tensor:
    """`value`, with the gradient of `gradient_of`, which it equals but for rounding."""
    return value.detach() + (gradient_of - gradient_of.detach())


class _Requantize(torch.autograd.Function):
    """Accumulators times a multiplier, rounded half to even and saturated, in one pass over the memory."""

    @staticmethod
    def forward(ctx: Any, acc: Tensor, multiplier: Tensor, low: int, high: int) -> Tensor:
        codes = (acc * multiplier).round_()
        ctx.save_for_backward((codes >= low) & (codes <= high), multiplier)
        return codes.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        within, multiplier = ctx.saved_tensors
        return gradients[0] * multiplier * within, None, None, None


def requantized(acc: Tensor, multiplier: Tensor, low: int, high: int) -> Tensor:
    codes: Tensor = _Requantize.apply(acc, multiplier, low, high)  # type: ignore[no-untyped-call]
    return codes
