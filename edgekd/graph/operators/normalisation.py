"""Layer norm and group norm from int8 codes to int8 codes: the float32 arithmetic in between, step by step.

No runtime has an integer kernel for them, and a float sum depends on the order of a CPU's kernel. So the files work on
the codes themselves, without scale and zero point, which cancel out: their sums and sums of squares are integers that
float32 holds exactly, in any order, and all other steps are one IEEE operation per value. Only ONNX's layer norm is
onnxruntime's own LayerNormalization, whose order of summation on x86 is reproduced.
"""

import numpy as np

from edgekd.graph.operators.arithmetic import dequantize, f32, quantize_as
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import GroupNorm, LayerNorm, Normalisation
from edgekd.graph.structure import Array, Kernels, Operator, Quantization

WIDEST = 1024
"""The most values of a normalised axis: their squares sum up to 2^24, below which float32 holds all integers."""
NARROWEST = 8
"""The fewest values of a normalised axis: below its eight lanes onnxruntime's kernel rounds in an unknown order."""

LARGEST_GROUP = 2**17
"""The most codes of a group, which sum up to 2^24 at most. Their squares do so in parts of WIDEST codes."""
BASE = 2**7
"""The base in which a part's sum of squares has two digits; over all parts of a group, either digit sums up to 2^24 at
most. So the sum of all squares is rounded once, when both digits are added."""


def largest_part(size: int, most: int) -> int:
    """The largest divisor of `size` that is no larger than `most`."""
    return next(part for part in range(min(size, most), 0, -1) if size % part == 0)


def epsilon_in_codes(op: Normalisation, source: Quantization) -> np.float32:
    """The epsilon that is added to the variance of codes instead of real values."""
    return f32(op.epsilon / float(f32(source.scale)) ** 2)


def standardise(codes: Array, epsilon: np.float32, *, by_reciprocal: bool = False) -> Array:
    """Standardise int8 codes (..., size): subtract their mean and divide by their standard deviation, in float32.

    Args:
        epsilon: added to the variance of the codes (`epsilon_in_codes`).
        by_reciprocal: multiply sums by 1 / size, as XNNPACK's MEAN does, instead of dividing them by the size.
    """
    x, size = codes.astype(f32), f32(codes.shape[-1])
    sums = [values.sum(-1, keepdims=True, dtype=np.float64).astype(f32) for values in (x, x * x)]
    mean, square = (total * (f32(1) / size) if by_reciprocal else total / size for total in sums)
    variance = np.maximum(square - mean * mean, f32(0))
    normal: Array = (x - mean) / np.sqrt(variance + epsilon)
    return normal


def by_lanes(op: LayerNorm, x: Array) -> Array:
    """Layer norm of float32 values (..., width), as onnxruntime's kernel for AVX2 and FMA computes it.

    The mean is computed in double precision. Squares are summed in eight lanes, then the lanes by halves. Of the
    remaining values, groups of four are squared before they are added; the last ones are added by a fused
    multiply-add.
    """
    width = x.shape[-1]
    mean = (x.sum(-1, keepdims=True, dtype=np.float64) / width).astype(f32)
    difference = x - mean
    in_lanes, in_fours = width // 8 * 8, width // 4 * 4
    lanes = np.zeros((*x.shape[:-1], 8), f32)
    for i in range(0, in_lanes, 8):
        lanes = _multiply_add(difference[..., i : i + 8], difference[..., i : i + 8], lanes)
    for half in (4, 2, 1):
        lanes = lanes[..., :half] + lanes[..., half : 2 * half]
    total = lanes[..., 0]
    for i in range(in_lanes, width):
        value = difference[..., i]
        total = total + value * value if i < in_fours else _multiply_add(value, value, total)
    inverse = f32(1) / np.sqrt(total / f32(width) + f32(op.epsilon))
    return _multiply_add(difference * inverse[..., None], op.weight, op.bias)


def _multiply_add(a: Array, b: Array, c: Array) -> Array:
    """Compute a * b + c and round it to float32 once."""
    result: Array = (a.astype(np.float64) * b + c).astype(f32)
    return result


def _layer_norm(op: LayerNorm, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    if kernels == "onnxruntime":
        return quantize_as(by_lanes(op, dequantize(inputs[0], source)), output, kernels)
    normal = standardise(inputs[0], epsilon_in_codes(op, source), by_reciprocal=kernels == "xnnpack")
    return quantize_as(normal * op.weight + op.bias, output, kernels)


def _group_norm(op: GroupNorm, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    """Group norm, which is the same in all runtimes but for the last rounding."""
    (codes,), source = inputs, scales.quantization(op.inputs[0])
    normal = standardise(codes.reshape(len(codes), op.groups, -1), epsilon_in_codes(op, source))
    by_channel = normal.reshape(len(codes), len(op.weight), -1)
    values = (by_channel * op.weight[:, None] + op.bias[:, None]).reshape(codes.shape)
    if op.activation != "none":
        values = values.clip(f32(0), f32(6) if op.activation == "relu6" else None)
    return quantize_as(values, scales.quantization(op.output), kernels)


REFERENCE: dict[type[Operator], ReferenceForm] = {LayerNorm: _layer_norm, GroupNorm: _group_norm}
