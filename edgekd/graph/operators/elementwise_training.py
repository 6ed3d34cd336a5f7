"""Operators that work value by value: their codes by the kernel's own rule, with the gradient of the real values."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic import fixed_point, fixed_point_add, float_add, round_twice
from edgekd.graph.operators.arithmetic_training import FixedPoint, activate, exactly, limits, look_up, requantize
from edgekd.graph.operators.elementwise import HEADROOM, in_reach, product_factor, relu_range
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.ops import Add, Mul, Prelu, Relu, Sub
from edgekd.graph.structure import QMAX, QMIN, Operator, Quantization

Rule = Callable[[Tensor, Tensor], Tensor]
"""(codes of two operands minus their zero points) -> codes of the output minus its zero point."""


class _Sum(torch.autograd.Function):
    """A sum by the kernel's own rule (`sum_rule`), with the gradient of ratio_x * x + ratio_y * y."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, sum_rule: Rule, ratios: tuple[float, float], limits: tuple[int, int]
    ) -> Tensor:
        codes = sum_rule(x, y)
        ctx.save_for_backward((codes >= limits[0]) & (codes <= limits[1]))
        ctx.ratios, ctx.shapes = ratios, (x.shape, y.shape)
        return codes.clamp_(*limits)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        masked_gradient = gradients[0] * ctx.saved_tensors[0]
        pairs = zip(ctx.ratios, ctx.shapes, strict=True)
        return (*((masked_gradient * ratio).sum_to_size(shape) for ratio, shape in pairs), None, None, None)


def _add_or_sub(sim: Simulated, op: Add | Sub, x: Tensor, y: Tensor) -> Tensor:
    a, b = (sim.quantization(name) for name in op.inputs)
    sign = -1 if isinstance(op, Sub) else 1
    sim.observe(op.output, lambda: activate(x * a.scale + y * (sign * b.scale), op.activation))
    output = sim.quantization(op.output)
    kernels = sim.kernels
    if kernels == "onnxruntime":
        sum_rule = _subtract(a, b, output) if sign < 0 else _fused_multiply_add(a, b, output)
    elif kernels == "xnnpack" and in_reach(a, b, output):
        sum_rule = _fixed_point(a, b, output, sign)
    else:
        sum_rule, kernels = _round_twice(a, b, output, sign), "tflm"
    ratios = (a.scale / output.scale, sign * b.scale / output.scale)
    codes: Tensor = _Sum.apply(x, y, sum_rule, ratios, limits(op.activation, output, kernels))  # type: ignore[no-untyped-call]
    return codes


def _fixed_point(a: Quantization, b: Quantization, output: Quantization, sign: int) -> Rule:
    """XNNPACK's rule; products of 21-bit multipliers and 9-bit codes fit into an int32."""
    by_a, by_b, shift = fixed_point_add(a, b, output)
    return lambda x, y: ((x.int() * by_a + y.int() * (sign * by_b) + (1 << (shift - 1))) >> shift).float()


def _round_twice(a: Quantization, b: Quantization, output: Quantization, sign: int) -> Rule:
    """TFLite's rule; a table for each operand holds the summand of each of its codes."""
    largest = 2 * max(a.scale, b.scale)
    difference = np.arange(QMIN - QMAX, QMAX - QMIN + 1) << HEADROOM
    tables = [round_twice(difference, *fixed_point(np.asarray(q.scale / largest))) for q in (a, b)]
    ratio = largest / (2**HEADROOM * output.scale)

    def sum_rule(x: Tensor, y: Tensor) -> Tensor:
        parts = [
            look_up(torch.from_numpy(table).to(c.device, torch.int32), (c + (QMAX - QMIN)).flatten()).reshape(c.shape)
            for table, c in zip(tables, (x, y), strict=True)
        ]
        total = parts[0] + sign * parts[1]
        exact = FixedPoint.of(*fixed_point(np.asarray(ratio)), (), x.device)
        return exact.round(total, total * ratio)

    return sum_rule


def _fused_multiply_add(a: Quantization, b: Quantization, output: Quantization) -> Rule:
    """onnxruntime's rule, which works on uint8 codes."""
    ratio_a, ratio_b, constant = float_add(a, b, output)

    def sum_rule(x: Tensor, y: Tensor) -> Tensor:
        partial = ((y.double() + (b.zero_point - QMIN)) * ratio_b + constant).float()
        total = ((x.double() + (a.zero_point - QMIN)) * ratio_a + partial.double()).float()
        return torch.round(total) + (QMIN - output.zero_point)

    return sum_rule


def _subtract(a: Quantization, b: Quantization, output: Quantization) -> Rule:
    """onnxruntime's rule, which works on real values."""
    return lambda x, y: torch.round((x * a.scale - y * b.scale) / output.scale)


def _mul(sim: Simulated, op: Mul, x: Tensor, y: Tensor) -> Tensor:
    a, b = (sim.quantization(name) for name in op.inputs)
    acc = x * y
    sim.observe(op.output, lambda: activate(acc * (a.scale * b.scale), op.activation))
    output = sim.quantization(op.output)
    factor = product_factor(a, b, output)
    ends = limits(op.activation, output, sim.kernels)
    if sim.kernels == "onnxruntime":
        return _round_with_zero_point(acc * float(factor), output.zero_point - QMIN, *ends)
    if sim.kernels == "xnnpack" and op.inputs[0] == op.inputs[1] and 2**-16 <= factor < 2**8:
        steps = (x * a.scale).square() * float(np.float32(1) / np.float32(output.scale))
        return _round_with_zero_point(steps, output.zero_point, *ends)
    twice, kernels = None, sim.kernels
    if kernels == "tflm" or not 2**-16 <= factor < 2**8:
        ratio = a.scale * b.scale / output.scale if kernels == "tflm" else float(factor)
        twice, kernels = FixedPoint.of(*fixed_point(np.asarray(ratio)), (), acc.device), "tflm"
    multiplier = torch.tensor(float(factor), device=acc.device)
    return requantize(acc, multiplier, *limits(op.activation, output, kernels), twice)


def _round_with_zero_point(steps: Tensor, zero_point: int, low: int, high: int) -> Tensor:
    """Round as onnxruntime does, which adds the zero point in float32 before it rounds."""
    codes = torch.round(steps.detach() + zero_point) - zero_point
    return exactly(codes.clamp(low, high), steps.clamp(low, high))


def _relu(sim: Simulated, op: Relu, x: Tensor) -> Tensor:
    output = sim.quantization(op.output)
    low, high = relu_range(op, output, sim.kernels)
    return x.clamp(low - output.zero_point, high - output.zero_point)


def _shipped_prelu(sim: Simulated, op: Prelu) -> Operator:
    """The slopes as int8 codes with one scale for all channels, as TFLite demands."""
    slope = sim.parameters_of(op)[0].detach().cpu().numpy()
    scale = np.maximum(np.abs(slope).max(), np.float32(1e-9)) / np.float32(QMAX)
    return replace(op, slope=np.rint(slope / scale).astype(np.int8), slope_scale=float(scale))


TRAINING: dict[type[Operator], TrainingForms] = {
    Add: TrainingForms(lambda op, x, y, shape: activate(x + y, op.activation), _add_or_sub),
    Sub: TrainingForms(lambda op, x, y, shape: activate(x - y, op.activation), _add_or_sub),
    Mul: TrainingForms(lambda op, x, y, shape: activate(x * y, op.activation), _mul),
    Relu: TrainingForms(lambda op, x, shape: activate(x, op.activation), _relu),
    Prelu: TrainingForms(lambda op, x, slope, shape: F.prelu(x, slope), shipped=_shipped_prelu),
}
