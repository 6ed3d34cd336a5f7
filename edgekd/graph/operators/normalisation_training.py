"""Layer norm: the kernels' arithmetic on tensors, with the gradient of the real values."""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic import f32
from edgekd.graph.operators.arithmetic_training import limits
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.operators.normalisation import epsilon_in_codes
from edgekd.graph.ops import LayerNorm
from edgekd.graph.structure import Kernels, Operator, Quantization


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


def _layer_norm_codes(sim: Simulated, op: LayerNorm, x: Tensor) -> Tensor:
    weight, bias = sim.parameters_of(op)
    rule = _Normalising(op, sim.quantization(op.inputs[0]), sim.kernels)
    sim.observe(op.output, lambda: torch.stack(torch.aminmax(rule.normal(x.detach())[0] * weight + bias)))
    codes: Tensor = _LayerNorm.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, rule, sim.quantization(op.output)
    )
    return codes


@dataclass(frozen=True)
class _Normalising:
    """A layer norm's arithmetic (`normalisation.on_codes`, `by_lanes`) on codes less their zero point."""

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


def _shipped(sim: Simulated, op: LayerNorm) -> Operator:
    weight, bias = (values.detach().cpu().numpy() for values in sim.parameters_of(op))
    return replace(op, weight=weight, bias=bias)


TRAINING: dict[type[Operator], TrainingForms] = {
    LayerNorm: TrainingForms(
        lambda op, x, w, b, shape: F.layer_norm(x, x.shape[-1:], w, b, op.epsilon), _layer_norm_codes, _shipped
    )
}
