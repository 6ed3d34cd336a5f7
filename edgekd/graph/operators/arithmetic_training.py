"""Rounding and saturation with gradients, which the training forms of all operators share.

Gradients pass straight through rounding and stop where a code saturates (Bengio et al., 2013; Jacob et al., 2018).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.structure import Activation, Array, Kernels, Quantization, activation_range


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Apply a fused activation to real values."""
    if activation == "relu6":
        return x.clamp(0, 6)
    return F.relu(x) if activation == "relu" else x


def input_codes(x: Tensor, quantization: Quantization) -> Tensor:
    """Convert real values to codes minus their zero point, with a straight-through gradient."""
    return round_straight(x / quantization.scale).clamp(*limits("none", quantization))


def limits(activation: Activation, quantization: Quantization, kernels: Kernels = "onnxruntime") -> tuple[int, int]:
    """The lowest and highest code that an activation lets through, minus the zero point."""
    low, high = activation_range(activation, quantization, kernels)
    return low - quantization.zero_point, high - quantization.zero_point


def round_straight(x: Tensor) -> Tensor:
    """Round half to even, with a straight-through gradient."""
    return x + (torch.round(x) - x).detach()


def exactly(value: Tensor, gradient_of: Tensor) -> Tensor:
    """Return `value` with the gradient of `gradient_of`, from which it differs by rounding alone."""
    return value.detach() + (gradient_of - gradient_of.detach())


@dataclass(frozen=True)
class FixedPoint:
    """A multiplier in gemmlowp's form (`arithmetic.fixed_point`), as tensors that broadcast as it does."""

    mantissa: Tensor
    left: Tensor
    right: Tensor

    @classmethod
    def of(cls, mantissa: Array, exponent: Array, shape: Sequence[int], device: torch.device) -> "FixedPoint":
        """Convert NumPy's arrays, reshaped to `shape`."""
        parts = (mantissa, np.maximum(exponent, 0), np.maximum(-exponent, 0))
        return cls(*(torch.from_numpy(np.asarray(part, np.int64)).reshape(shape).to(device) for part in parts))

    def round(self, acc: Tensor, product: Tensor) -> Tensor:
        """Round `product`, which is acc times the multiplier, as `arithmetic.round_twice` does; it is overwritten.

        The first rounding moves a value by at most half of 2^-right. So two roundings give what one gives but where
        the product lies that close to the middle of two codes; only there the integers are computed.
        """
        strides = acc.stride()
        order = sorted(range(acc.dim()), key=lambda axis: -strides[axis])
        if order != [*range(acc.dim())]:  # channels last: go through memory as it lies
            parts = (part.permute(order) if part.dim() else part for part in (self.mantissa, self.left, self.right))
            codes = FixedPoint(*parts).round(acc.permute(order), product.permute(order))
            return codes.permute([order.index(axis) for axis in range(acc.dim())])
        nearest = product.round().contiguous()
        reach = torch.where(self.right > 0, torch.exp2(-1.0 - self.right), 0.0) + FLOAT32_SLACK
        close = (product.sub_(nearest).abs_().add_(reach - 0.5) > 0).flatten().nonzero()[:, 0]
        mantissa, left, right = (self._at(close, part, acc.shape) for part in (self.mantissa, self.left, self.right))
        operand = (acc.reshape(-1)[close].long() << left).int().long()
        high = (operand * mantissa + (1 << 30)) >> 31
        exact = ((high.abs() + ((1 << right) >> 1)) >> right) * high.sign()
        nearest.view(-1)[close] = exact.to(nearest)
        return nearest

    @staticmethod
    def _at(places: Tensor, part: Tensor, shape: Sequence[int]) -> Tensor:
        """The values of `part`, which broadcasts to `shape` along one axis, at positions of the flattened tensor."""
        if part.numel() == 1:
            return part.reshape(())
        axis = next(axis for axis, length in enumerate(part.shape) if length > 1)
        return part.reshape(-1)[places // math.prod(shape[axis + 1 :]) % part.numel()]


FLOAT32_SLACK = 2.0**-12
"""An upper bound for the error of a float32 product below 2^9; beyond that codes saturate."""


class _Requantize(torch.autograd.Function):
    """Multiplies accumulators, rounds and saturates them in one pass over the memory."""

    @staticmethod
    def forward(
        ctx: Any, acc: Tensor, multiplier: Tensor, low: int, high: int, fixed_point: FixedPoint | None
    ) -> Tensor:
        codes = acc * multiplier
        codes = fixed_point.round(acc, codes) if fixed_point else codes.round_()
        ctx.save_for_backward((codes >= low) & (codes <= high), multiplier)
        return codes.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        within, multiplier = ctx.saved_tensors
        return gradients[0] * multiplier * within, None, None, None, None


def requantize(acc: Tensor, multiplier: Tensor, low: int, high: int, fixed_point: FixedPoint | None = None) -> Tensor:
    """Rescale accumulators by a float32 multiplier and round half to even, or as gemmlowp does with `fixed_point`."""
    codes: Tensor = _Requantize.apply(acc, multiplier, low, high, fixed_point)  # type: ignore[no-untyped-call]
    return codes


def look_up(values: Tensor, rows: Tensor) -> Tensor:
    """Return values[rows] of vectors in the fastest of torch's ways."""
    return values.index_select(0, rows.int())
