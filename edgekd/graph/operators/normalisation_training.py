"""Layer norm and group norm: the kernels' arithmetic on tensors, with the gradient of the real values."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic import f32
from edgekd.graph.operators.arithmetic_training import activate, limits
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.operators.normalisation import WIDEST, epsilon_in_codes
from edgekd.graph.ops import GroupNorm, LayerNorm, Normalisation
from edgekd.graph.structure import Activation, Kernels, Operator, Quantization


class _Normalise(torch.autograd.Function):
    """Normalises codes minus their zero point by a kernel's rule, with the gradient of normal * weight + bias in steps.

    Weight and bias broadcast to the codes.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, rule: "_Rule", output: Quantization) -> Tensor:
        normal, inverse = rule.normal(x)
        values = rule.values(normal, weight, bias)
        steps = _in_steps(values, output, rule.kernels)
        low, high = limits("none", output)
        within = (steps >= low) & (steps <= high)
        if rule.activation != "none":
            within &= (values > 0) & (values < 6) if rule.activation == "relu6" else values > 0
        ctx.save_for_backward(normal, inverse, weight, within)
        ctx.step, ctx.axes = output.scale, rule.axes
        return steps.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normal, inverse, weight, within = ctx.saved_tensors
        gradient = gradients[0] * within / ctx.step
        by_weight, by_bias = (gradient * normal).sum_to_size(weight.shape), gradient.sum_to_size(weight.shape)
        gradient = gradient * weight
        means = (values.mean(ctx.axes, keepdim=True) for values in (gradient, gradient * normal))
        gradient = gradient - next(means) - normal * next(means)
        return gradient * inverse, by_weight, by_bias, None, None


@dataclass(frozen=True)
class _Rule:
    """A normalisation's arithmetic (`operators.normalisation`) on codes minus their zero point.

    Attributes:
        axes: the axes over which it normalises.
        by_lanes: whether to sum in the order of onnxruntime's own kernel.
        by_reciprocal: whether to multiply sums by 1 / size, as XNNPACK's MEAN does.
    """

    op: Normalisation
    source: Quantization
    kernels: Kernels
    axes: tuple[int, ...]
    by_lanes: bool = False
    by_reciprocal: bool = False
    activation: Activation = "none"

    def normal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The normalised values before weight and bias, and the factor of each code in them."""
        if self.by_lanes:
            return self._by_lanes(x)
        codes, size = x + self.source.zero_point, math.prod(x.shape[axis] for axis in self.axes)
        exact = torch.float32 if size <= WIDEST else torch.float64
        sums = (values.sum(self.axes, keepdim=True, dtype=exact).float() for values in (codes, codes * codes))
        mean, square = (total * float(f32(1) / f32(size)) if self.by_reciprocal else total / size for total in sums)
        variance = (square - mean * mean).clamp_min(0)
        deviation = root(variance + float(epsilon_in_codes(self.op, self.source)))
        return (codes - mean) / deviation, 1 / deviation

    def _by_lanes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values, width = x * self.source.scale, x.shape[-1]
        difference = values - values.double().mean(-1, keepdim=True).float()
        in_lanes, in_fours = width // 8 * 8, width // 4 * 4
        squares = difference.double().square()  # exact
        lanes = difference.new_zeros((*difference.shape[:-1], 8))
        for i in range(0, in_lanes, 8):
            lanes = (squares[..., i : i + 8] + lanes).float()
        for half in (4, 2, 1):
            lanes = lanes[..., :half] + lanes[..., half : 2 * half]
        total = lanes
        for i in range(in_lanes, width):
            square = squares[..., i : i + 1]
            total = total + square.float() if i < in_fours else (square + total).float()
        inverse = 1 / root(total / width + float(f32(self.op.epsilon)))
        return difference * inverse, inverse * self.source.scale

    def values(self, normal: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The real output values before they are rounded."""
        if self.by_lanes:  # a fused multiply-add rounds once
            return (normal.double() * weight + bias).float()
        return activate(normal * weight + bias, self.activation)


def _in_steps(values: Tensor, output: Quantization, kernels: Kernels) -> Tensor:
    """Convert real values to codes minus their zero point as a runtime's QUANTIZE does (`arithmetic.quantize_as`)."""
    scale = f32(output.scale)
    if kernels == "onnxruntime":
        return torch.round(values / float(scale))
    if kernels == "xnnpack":
        return torch.round(values * float(f32(1) / scale))
    quotient = (values / float(scale)).double()
    return (torch.floor(quotient.abs() + 0.5) * quotient.sign()).float()


def root(x: Tensor) -> Tensor:
    """The IEEE square root in float32; torch's own is sometimes off by one unit in the last place."""
    return torch.sqrt(x.double()).float()


def _layer_norm_codes(sim: Simulated, op: LayerNorm, x: Tensor) -> Tensor:
    by_lanes, by_reciprocal = sim.kernels == "onnxruntime", sim.kernels == "xnnpack"
    rule = _Rule(op, sim.quantization(op.inputs[0]), sim.kernels, (-1,), by_lanes, by_reciprocal)
    return _codes(sim, rule, x, *sim.parameters_of(op))


def _group_norm_codes(sim: Simulated, op: GroupNorm, x: Tensor) -> Tensor:
    """Normalise in the shape (N, groups, channels of a group, positions)."""
    rule = _Rule(op, sim.quantization(op.inputs[0]), sim.kernels, (-2, -1), activation=op.activation)
    weight, bias = (values.reshape(op.groups, -1, 1) for values in sim.parameters_of(op))
    return _codes(sim, rule, x.reshape(len(x), *weight.shape[:2], -1), weight, bias).reshape(x.shape)


def _codes(sim: Simulated, rule: _Rule, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    output = rule.op.output

    def ends() -> Tensor:
        values = activate(rule.normal(x.detach())[0] * weight + bias, rule.activation)
        return torch.stack(torch.aminmax(values))

    sim.observe(output, ends)
    codes: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, rule, sim.quantization(output)
    )
    return codes


def _shipped(sim: Simulated, op: Normalisation) -> Operator:
    weight, bias = (values.detach().cpu().numpy() for values in sim.parameters_of(op))
    return replace(op, weight=weight, bias=bias)


TRAINING: dict[type[Operator], TrainingForms] = {
    LayerNorm: TrainingForms(
        lambda op, x, w, b, shape: F.layer_norm(x, x.shape[-1:], w, b, op.epsilon), _layer_norm_codes, _shipped
    ),
    GroupNorm: TrainingForms(
        lambda op, x, w, b, shape: activate(F.group_norm(x, op.groups, w, b, op.epsilon), op.activation),
        _group_norm_codes,
        _shipped,
    ),
}
