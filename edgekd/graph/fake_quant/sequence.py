"""Operators of networks for sequences: the kernels' arithmetic on tensors, with the gradient of the real values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.fake_quant.arithmetic import FixedPoint, Simulated, input_codes, limits, requantized
from edgekd.graph.fake_quant.reference import by_reference
from edgekd.graph.floating import matrix_product
from edgekd.graph.integer import softmax
from edgekd.graph.integer.arithmetic import f32, fixed_point
from edgekd.graph.integer.gemmlowp import rounded_shift
from edgekd.graph.integer.layer_norm import epsilon_in_codes
from edgekd.graph.integer.sequence import rounds_once
from edgekd.graph.ops import Embedding, LayerNorm, MatMul, Softmax
from edgekd.graph.structure import Array, Kernels, Operator, Quantization

EXACT_PRODUCTS = 2**24 // 255**2
"""Of so many products of codes less their zero points float32 holds the sum exactly."""


def _matmul(sim: Simulated, op: MatMul, x: Tensor, y: Tensor) -> Tensor:
    if x.shape[-2 if op.transpose_a else -1] > EXACT_PRODUCTS:
        return by_reference(sim, op, x, y)
    a, b = (sim.quantization(name) for name in op.inputs)
    acc = matrix_product(op, x, y)
    sim.observe(op.output, lambda: torch.stack(torch.aminmax(acc.detach())) * (a.scale * b.scale))
    output = sim.quantization(op.output)
    ratio = f32(a.scale) * f32(b.scale) / f32(output.scale)
    twice = None
    if not rounds_once(b, sim.kernels):
        twice = FixedPoint.of(*fixed_point(np.asarray(a.scale * b.scale / output.scale)), (), acc.device)
    return requantized(acc, torch.tensor(float(ratio), device=acc.device), *limits("none", output), twice)


Rule = Callable[[Tensor], tuple[Tensor, Tensor]]
"""How far each code lies below the largest of its row -> (codes less their zero point, shares as real values)."""


class _Softmax(torch.autograd.Function):
    """Codes less their zero point, by a kernel's rule; the gradient is that of softmax(scale * x) / step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, rule: Rule) -> Tensor:
        codes, shares = rule((x.amax(-1, keepdim=True) - x).long())
        ctx.save_for_backward(shares)
        ctx.scale = scale
        return codes.clamp_(0, softmax.STEPS - 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (shares,) = ctx.saved_tensors
        passed = gradients[0] * shares
        found = passed - shares * passed.sum(-1, keepdim=True)
        return found * (ctx.scale * softmax.STEPS), None, None


def _softmax(sim: Simulated, op: Softmax, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    scale = f32(source.scale) * f32(op.beta)
    rule = _fixed_point_rule(source.scale * float(f32(op.beta)))
    if sim.kernels == "xnnpack":
        rule = _table_rule(softmax.exponentials(scale), _rounded_up)
    if sim.kernels == "onnxruntime":
        rule = _table_rule(softmax.scaled_exponentials(scale, x.shape[-1]), _rounded_to_even)
    codes: Tensor = _Softmax.apply(x, float(scale), rule)  # type: ignore[no-untyped-call]
    return codes


def _table_rule(table: Array, rounded: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """LiteRT's and onnxruntime's: float32 exponentials, added one after the other."""

    def rule(below: Tensor) -> tuple[Tensor, Tensor]:
        found = torch.from_numpy(table).to(below.device)[below]
        total = torch.zeros_like(found[..., :1])
        for i in range(found.shape[-1]):
            total = total + found[..., i : i + 1]
        return rounded(found, total), found / total

    return rule


def _rounded_up(exponentials: Tensor, total: Tensor) -> Tensor:
    """LiteRT's (`softmax.by_table`)."""
    return torch.floor(exponentials * (1 / (total * (1 / softmax.STEPS))) + 0.5)


def _rounded_to_even(exponentials: Tensor, total: Tensor) -> Tensor:
    """onnxruntime's (`softmax.by_scaled_table`)."""
    return torch.round(exponentials * softmax.STEPS / total)


def _fixed_point_rule(scale: float) -> Rule:
    """TFLite Micro's (`softmax.in_fixed_point`)."""

    def rule(below: Tensor) -> tuple[Tensor, Tensor]:
        table = softmax.fixed_exponentials(scale)
        exact, added = (torch.from_numpy(t).to(below.device) for t in (table, rounded_shift(table, 12)))
        found, total = exact[below], added[below].sum(-1, keepdim=True)
        parts = softmax.fixed_reciprocals(total.cpu().numpy())
        reciprocal, shift = (torch.from_numpy(part).to(below.device) for part in parts)
        high = (reciprocal * found + (1 << 30)) >> 31  # nothing here is negative
        return ((high + ((1 << shift) >> 1)) >> shift).float(), found.float() / (total.float() * 2.0**12)

    return rule


class _LayerNorm(torch.autograd.Function):
    """Codes less their zero point, by a kernel's rounding; the gradient is that of normal * weight + bias, in steps."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, rule: "_Normalising", output: Quantization
    ) -> Tensor:
        normal, inverse = rule.normal(x)
        steps = rule.rounded(normal, weight, bias, output)
        low, high = limits("none", output)
        ctx.save_for_backward(normal, inverse, weight, (steps >= low) & (steps <= high))
        ctx.step = output.scale
        return steps.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normal, inverse, weight, within = ctx.saved_tensors
        passed = gradients[0] * within / ctx.step
        leading = tuple(range(passed.dim() - 1))
        by_weight, by_bias = (passed * normal).sum(leading), passed.sum(leading)
        passed = passed * weight
        passed = passed - passed.mean(-1, keepdim=True) - normal * (passed * normal).mean(-1, keepdim=True)
        return passed * inverse, by_weight, by_bias, None, None


def _layer_norm(sim: Simulated, op: LayerNorm, x: Tensor) -> Tensor:
    weight, bias = sim.parameters_of(op)
    rule = _Normalising(op, sim.quantization(op.inputs[0]), sim.kernels)
    sim.observe(op.output, lambda: torch.stack(torch.aminmax(rule.normal(x.detach())[0] * weight + bias)))
    codes: Tensor = _LayerNorm.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, rule, sim.quantization(op.output)
    )
    return codes


@dataclass(frozen=True)
class _Normalising:
    """A layer norm's arithmetic (`graph.integer.layer_norm`) on codes less their zero point."""

    op: LayerNorm
    source: Quantization
    kernels: Kernels

    def normal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(the normalised values before weight and bias, by what each step of the codes was multiplied)"""
        if self.kernels == "onnxruntime":
            return self._by_lanes(x)
        codes, width = x + self.source.zero_point, x.shape[-1]
        sums = codes.sum(-1, keepdim=True), (codes * codes).sum(-1, keepdim=True)
        if self.kernels == "xnnpack":
            mean, square = (total * float(f32(1) / f32(width)) for total in sums)
        else:
            mean, square = (total / width for total in sums)
        variance = (square - mean * mean).clamp_min(0)
        deviation = root(variance + float(epsilon_in_codes(self.op, self.source)))
        return (codes - mean) / deviation, 1 / deviation

    def _by_lanes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values, width = x * self.source.scale, x.shape[-1]
        centred = values - values.double().mean(-1, keepdim=True).float()
        in_lanes, in_fours = width // 8 * 8, width // 4 * 4
        squares = centred.double().square()  # exact
        lanes = centred.new_zeros((*centred.shape[:-1], 8))
        for i in range(0, in_lanes, 8):
            lanes = (squares[..., i : i + 8] + lanes).float()
        for half in (4, 2, 1):
            lanes = lanes[..., :half] + lanes[..., half : 2 * half]
        total = lanes
        for i in range(in_lanes, width):
            square = squares[..., i : i + 1]
            total = total + square.float() if i < in_fours else (square + total).float()
        inverse = 1 / root(total / width + float(f32(self.op.epsilon)))
        return centred * inverse, inverse * self.source.scale

    def rounded(self, normal: Tensor, weight: Tensor, bias: Tensor, output: Quantization) -> Tensor:
        scale = f32(output.scale)
        if self.kernels == "onnxruntime":  # a fused multiply-add rounds once
            return torch.round((normal.double() * weight + bias).float() / float(scale))
        if self.kernels == "xnnpack":
            return torch.round((normal * weight + bias) * float(f32(1) / scale))
        quotient = ((normal * weight + bias) / float(scale)).double()
        return (torch.floor(quotient.abs() + 0.5) * quotient.sign()).float()


def root(x: Tensor) -> Tensor:
    """The IEEE square root in float32. torch's own is a library's, and now and then the next number."""
    return torch.sqrt(x.double()).float()


def _embedding(sim: Simulated, op: Embedding, indices: Tensor) -> Tensor:
    """The rows that are asked for, rounded: rounding the whole table at each step would cost more than the network."""
    (weight,) = sim.parameters_of(op)
    return input_codes(F.embedding(indices, weight), sim.quantization(op.output))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {
    MatMul: _matmul,
    Softmax: _softmax,
    LayerNorm: _layer_norm,
    Embedding: _embedding,
}
