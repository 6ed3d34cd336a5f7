"""Products of activations, and softmax: the kernels' arithmetic on tensors, with the gradient of the real values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators import softmax
from edgekd.graph.operators.arithmetic import f32, fixed_point
from edgekd.graph.operators.arithmetic_training import FixedPoint, limits, requantize
from edgekd.graph.operators.attention import rounds_once
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.operators.gemmlowp import rounding_shift
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import Array, Operator

EXACT_PRODUCTS = 2**24 // 255**2
"""The number of products of codes minus their zero points whose sum float32 holds exactly."""


def _multiply(op: MatMul, a: Tensor, b: Tensor) -> Tensor:
    """Multiply the matrices of `a` and `b`, transposed as `op` says."""
    return (a.mT if op.transpose_a else a) @ (b.mT if op.transpose_b else b)


def _matmul_codes(sim: Simulated, op: MatMul, x: Tensor, y: Tensor) -> Tensor | None:
    if x.shape[-2 if op.transpose_a else -1] > EXACT_PRODUCTS:
        return None
    a, b = (sim.quantization(name) for name in op.inputs)
    acc = _multiply(op, x, y)
    sim.observe(op.output, lambda: torch.stack(torch.aminmax(acc.detach())) * (a.scale * b.scale))
    output = sim.quantization(op.output)
    ratio = f32(a.scale) * f32(b.scale) / f32(output.scale)
    twice = None
    if not rounds_once(b, sim.kernels):
        twice = FixedPoint.of(*fixed_point(np.asarray(a.scale * b.scale / output.scale)), (), acc.device)
    return requantize(acc, torch.tensor(float(ratio), device=acc.device), *limits("none", output), twice)


Rule = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(steps of each code below the largest of its row) -> (codes minus their zero point, shares as real values)."""


class _Softmax(torch.autograd.Function):
    """Softmax of codes minus their zero point by a kernel's rule, with the gradient of softmax(scale * x) / step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, rule: Rule) -> Tensor:
        codes, shares = rule((x.amax(-1, keepdim=True) - x).long())
        ctx.save_for_backward(shares)
        ctx.scale = scale
        return codes.clamp_(0, softmax.STEPS - 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (shares,) = ctx.saved_tensors
        masked_gradient = gradients[0] * shares
        difference = masked_gradient - shares * masked_gradient.sum(-1, keepdim=True)
        return difference * (ctx.scale * softmax.STEPS), None, None


def _softmax_codes(sim: Simulated, op: Softmax, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    scale = f32(source.scale) * f32(op.beta)
    rule = _fixed_point_rule(source.scale * float(f32(op.beta)))
    if sim.kernels == "xnnpack":
        rule = _table_rule(softmax.exponentials(scale), _round_up)
    if sim.kernels == "onnxruntime":
        rule = _table_rule(softmax.scaled_exponentials(scale, x.shape[-1]), _round_to_even)
    codes: Tensor = _Softmax.apply(x, float(scale), rule)  # type: ignore[no-untyped-call]
    return codes


def _table_rule(table: Array, round_shares: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """The rule of LiteRT and onnxruntime, which add float32 exponentials one after the other."""

    def rule(below: Tensor) -> tuple[Tensor, Tensor]:
        powers = torch.from_numpy(table).to(below.device)[below]
        total = torch.zeros_like(powers[..., :1])
        for i in range(powers.shape[-1]):
            total = total + powers[..., i : i + 1]
        return round_shares(powers, total), powers / total

    return rule


def _round_up(exponentials: Tensor, total: Tensor) -> Tensor:
    """Round as LiteRT does (`softmax.by_table`)."""
    return torch.floor(exponentials * (1 / (total * (1 / softmax.STEPS))) + 0.5)


def _round_to_even(exponentials: Tensor, total: Tensor) -> Tensor:
    """Round as onnxruntime does (`softmax.by_scaled_table`)."""
    return torch.round(exponentials * softmax.STEPS / total)


def _fixed_point_rule(scale: float) -> Rule:
    """The rule of TFLite Micro (`softmax.in_fixed_point`)."""

    def rule(below: Tensor) -> tuple[Tensor, Tensor]:
        table = softmax.fixed_exponentials(scale)
        exact, addends = (torch.from_numpy(t).to(below.device) for t in (table, rounding_shift(table, 12)))
        powers, total = exact[below], addends[below].sum(-1, keepdim=True)
        parts = softmax.fixed_reciprocals(total.cpu().numpy())
        reciprocal, shift = (torch.from_numpy(part).to(below.device) for part in parts)
        high = (reciprocal * powers + (1 << 30)) >> 31  # nothing here is negative
        return ((high + ((1 << shift) >> 1)) >> shift).float(), powers.float() / (total.float() * 2.0**12)

    return rule


TRAINING: dict[type[Operator], TrainingForms] = {
    MatMul: TrainingForms(lambda op, a, b, shape: _multiply(op, a, b), _matmul_codes),
    Softmax: TrainingForms(lambda op, x, shape: F.softmax(x * op.beta, -1), _softmax_codes),
}
