"""Operators that work value by value on one tensor or two."""

import numpy as np

from edgekd.graph.operators.arithmetic import f32, fixed_point, fixed_point_add, float_add, round_twice, saturate
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import Add, Mul, Prelu, Relu, Sub
from edgekd.graph.structure import QMIN, Array, Kernels, Operator, Quantization, activation_range

HEADROOM, WIDE_HEADROOM = 20, 15
"""Bits by which TFLite's fixed-point sums shift their operands to the left, for codes of 8 bits and of 16."""


def _add(op: Add, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    a, b, output = (scales.quantization(name) for name in (*op.inputs, op.output))
    if kernels != "onnxruntime":
        return _fixed_point_sum(op, scales, inputs, kernels, sign=1)
    # Two fused multiply-adds: each rounds its exact sum to float32 once.
    ratio_a, ratio_b, constant = float_add(a, b, output)
    partial = ((inputs[1].astype(np.int64) - QMIN) * ratio_b + constant).astype(f32)
    total = ((inputs[0].astype(np.int64) - QMIN) * ratio_a + partial).astype(f32)
    return saturate(np.rint(total) + QMIN, *activation_range(op.activation, output, kernels))


def _sub(op: Sub, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    a, b, output = (scales.quantization(name) for name in (*op.inputs, op.output))
    if kernels != "onnxruntime":
        return _fixed_point_sum(op, scales, inputs, kernels, sign=-1)
    # onnxruntime has no integer kernel: it subtracts float32 values.
    x, y = ((codes.astype(f32) - f32(q.zero_point)) * f32(q.scale) for codes, q in zip(inputs, (a, b), strict=True))
    steps = np.rint((x - y) / f32(output.scale)) + output.zero_point
    return saturate(steps, *activation_range(op.activation, output, kernels))


def _fixed_point_sum(op: Add | Sub, scales: Scales, inputs: list[Array], kernels: Kernels, sign: int) -> Array:
    """Compute x + sign * y as XNNPACK does, or as TFLite does in two roundings where XNNPACK has no kernel."""
    a, b, output = (scales.quantization(name) for name in (*op.inputs, op.output))
    x, y = (codes.astype(np.int64) - q.zero_point for codes, q in zip(inputs, (a, b), strict=True))
    if kernels == "xnnpack" and output.bits == 8 and in_reach(a, b, output):
        by_a, by_b, shift = fixed_point_add(a, b, output)
        total = (x * by_a + sign * y * by_b + (1 << (shift - 1))) >> shift
        return saturate(total + output.zero_point, *activation_range(op.activation, output, "xnnpack"))
    largest, headroom = 2 * max(a.scale, b.scale), HEADROOM if output.bits == 8 else WIDE_HEADROOM
    x, y = (
        round_twice(operand << headroom, *fixed_point(np.asarray(q.scale / largest)))
        for operand, q in zip((x, y), (a, b), strict=True)
    )
    total = round_twice(x + sign * y, *fixed_point(np.asarray(largest / (2**headroom * output.scale))))
    return saturate(total + output.zero_point, *activation_range(op.activation, output, "tflm"), output.bits)


def in_reach(a: Quantization, b: Quantization, output: Quantization) -> bool:
    """Has XNNPACK a kernel that adds or subtracts on these scales?"""
    ratios = (f32(q.scale) / f32(output.scale) for q in (a, b))
    return all(2**-10 <= ratio < 2**8 for ratio in ratios)


def product_factor(a: Quantization, b: Quantization, output: Quantization) -> np.float32:
    """The float32 factor that rescales a product of codes."""
    return f32(a.scale) * f32(b.scale) / f32(output.scale)


def _mul(op: Mul, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    a, b, output = (scales.quantization(name) for name in (*op.inputs, op.output))
    factor = product_factor(a, b, output)
    acc = _product(op, scales, inputs)
    if kernels == "onnxruntime":  # the uint8 zero point is added before rounding
        codes = np.rint(acc.astype(f32) * factor + f32(output.zero_point - QMIN)) + QMIN
    elif kernels == "xnnpack" and output.bits == 8 and 2**-16 <= factor < 2**8:
        square = op.inputs[0] == op.inputs[1]
        codes = _square(inputs[0], a, output) if square else np.rint(acc.astype(f32) * factor) + output.zero_point
    else:
        exact = a.scale * b.scale / output.scale if kernels == "tflm" else float(factor)
        codes = round_twice(acc, *fixed_point(np.asarray(exact))) + output.zero_point
    ends = activation_range(op.activation, output, kernels if output.bits == 8 else "tflm")
    return saturate(codes, *ends, output.bits)


def _square(codes: Array, source: Quantization, output: Quantization) -> Array:
    """Square a tensor as XNNPACK does where both operands are one tensor: by a table in float32."""
    values = (codes.astype(np.int64) - source.zero_point).astype(f32) * f32(source.scale)
    steps: Array = np.rint(values * values * (f32(1) / f32(output.scale)) + f32(output.zero_point))
    return steps


def _mul_by_float32_factor(op: Mul, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    """Multiply as LiteRT's reference kernel does: its factor is float32, where TFLite Micro's is float64."""
    a, b, output = (scales.quantization(name) for name in (*op.inputs, op.output))
    factor = fixed_point(np.asarray(float(product_factor(a, b, output))))
    codes = round_twice(_product(op, scales, inputs), *factor) + output.zero_point
    return saturate(codes, *activation_range(op.activation, output, kernels), output.bits)


def _product(op: Mul, scales: Scales, inputs: list[Array]) -> Array:
    x, y = (c.astype(np.int64) - scales.quantization(n).zero_point for c, n in zip(inputs, op.inputs, strict=True))
    return x * y


def _relu(op: Relu, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    output = scales.quantization(op.output)
    return saturate(inputs[0], *relu_range(op, output, kernels), output.bits)


def relu_range(op: Relu, output: Quantization, kernels: Kernels) -> tuple[int, int]:
    """The range of codes that a Relu lets through; XNNPACK leaves it to LiteRT's built-in kernels."""
    return activation_range(op.activation, output, "onnxruntime" if kernels == "onnxruntime" else "tflm")


def _prelu(op: Prelu, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    if kernels != "onnxruntime":
        return _prelu_in_fixed_point(op, scales, inputs, np.float64 if kernels == "tflm" else f32)
    # onnxruntime has no integer kernel: it works on float32 values.
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    x = inputs[0].astype(np.int64) - source.zero_point
    slope = op.slope.astype(f32).reshape(-1, *[1] * (x.ndim - 2)) * f32(op.slope_scale)
    values = x.astype(f32) * f32(source.scale)
    return saturate(np.rint(np.where(x >= 0, values, values * slope) / f32(output.scale)) + output.zero_point)


def _prelu_by_float32_ratios(op: Prelu, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return _prelu_in_fixed_point(op, scales, inputs, f32)


def _prelu_in_fixed_point(
    op: Prelu, scales: Scales, inputs: list[Array], real: type[np.float32] | type[np.float64]
) -> Array:
    """Compute PReLU as TFLite does; LiteRT divides the scales in float32, TFLite Micro in float64."""
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    x = inputs[0].astype(np.int64) - source.zero_point
    slope = op.slope.astype(np.int64).reshape(-1, *[1] * (x.ndim - 2))
    ratio = real(source.scale) / real(output.scale)
    sloping = real(source.scale) * real(op.slope_scale) / real(output.scale)
    above, below = (fixed_point(np.asarray(float(factor))) for factor in (ratio, sloping))
    steps = np.where(x >= 0, round_twice(x, *above), round_twice(x * slope, *below))
    return saturate(steps + output.zero_point)


REFERENCE: dict[type[Operator], ReferenceForm] = {
    Add: _add,
    Sub: _sub,
    Mul: _mul,
    Relu: _relu,
    Prelu: _prelu,
}

LITERT_REFERENCE: dict[type[Operator], ReferenceForm] = {Mul: _mul_by_float32_factor, Prelu: _prelu_by_float32_ratios}
"""The operators in which LiteRT's reference kernels differ from TFLite Micro's."""
