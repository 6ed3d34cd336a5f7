"""Operators that work value by value: their codes by the kernel's own rule, with the gradient of the real values."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from edgekd.graph.fake_quant.arithmetic import Simulated, limits
from edgekd.graph.floating import activated
from edgekd.graph.integer.arithmetic import fixed_point_add, float_add
from edgekd.graph.ops import Add, Relu
from edgekd.graph.structure import QMIN, Operator, Quantization


class _Sum(torch.autograd.Function):
    """Two branches by the kernel's own rule (`added`); the gradient is that of ratio_x * x + ratio_y * y."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        added: Callable[[Tensor, Tensor], Tensor],
        ratios: tuple[float, float],
        *limits: int,
    ) -> Tensor:
        codes = added(x, y)
        ctx.save_for_backward((codes >= limits[0]) & (codes <= limits[1]))
        ctx.ratios = ratios
        return codes.clamp_(*limits)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        passed = gradients[0] * ctx.saved_tensors[0]
        return passed * ctx.ratios[0], passed * ctx.ratios[1], None, None, None, None


def _add(sim: Simulated, op: Add, x: Tensor, y: Tensor) -> Tensor:
    a, b = (sim.quantization(name) for name in op.inputs)
    sim.observe(op.output, lambda: activated(x * a.scale + y * b.scale, op.activation))
    output = sim.quantization(op.output)
    added = _fixed_point(a, b, output) if sim.kernels == "xnnpack" else _fused_multiply_add(a, b, output)
    ratios = (a.scale / output.scale, b.scale / output.scale)
    codes: Tensor = _Sum.apply(x, y, added, ratios, *limits(op.activation, output))  # type: ignore[no-untyped-call]
    return codes


def _fixed_point(a: Quantization, b: Quantization, output: Quantization) -> Callable[[Tensor, Tensor], Tensor]:
    """XNNPACK's; 21-bit multipliers times 9-bit codes leave room in an int32."""
    by_a, by_b, shift = fixed_point_add(a, b, output)
    return lambda x, y: ((x.int() * by_a + y.int() * by_b + (1 << (shift - 1))) >> shift).float()


def _fused_multiply_add(a: Quantization, b: Quantization, output: Quantization) -> Callable[[Tensor, Tensor], Tensor]:
    """onnxruntime's, on uint8 codes."""
    ratio_a, ratio_b, constant = float_add(a, b, output)

    def added(x: Tensor, y: Tensor) -> Tensor:
        partial = ((y.double() + (b.zero_point - QMIN)) * ratio_b + constant).float()
        total = ((x.double() + (a.zero_point - QMIN)) * ratio_a + partial.double()).float()
        return torch.round(total) + (QMIN - output.zero_point)

    return added


FORMS: dict[type[Operator], Callable[..., Tensor]] = {
    Add: _add,
    Relu: lambda sim, op, x: x.clamp(*limits(op.activation, sim.quantization(op.output))),
}
