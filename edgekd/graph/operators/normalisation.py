"""Layer norm from int8 codes to int8 codes: the float32 arithmetic in between, operation by operation.

No runtime has an integer kernel for it, and a float sum depends on the order that a CPU's kernel takes. So the TFLite
form works on the codes themselves, without scale and zero point, which cancel out: their sums and sums of squares are
whole numbers that float32 holds exactly, in any order, and all else is one IEEE operation per value. ONNX's form is the
LayerNormalization of onnxruntime, whose order on x86 is followed.
"""

import numpy as np

from edgekd.graph.operators.arithmetic import dequantize, f32, quantize_as
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import LayerNorm
from edgekd.graph.structure import Array, Kernels, Operator, Quantization

WIDEST = 1024
"""Values of the normalised axis, so that their squares sum up to 2^24 at most: float32 holds all integers up to it."""
NARROWEST = 8
"""onnxruntime takes another path below its eight lanes; it is not followed."""


def epsilon_in_codes(op: LayerNorm, source: Quantization) -> np.float32:
    """What is added to the variance of the codes."""
    return f32(op.epsilon / float(f32(source.scale)) ** 2)


def on_codes(op: LayerNorm, codes: Array, source: Quantization, kernels: Kernels) -> Array:
    """(..., width) int8 -> float32, as LiteRT and TFLite Micro compute what edgekd writes: their MEANs differ."""
    x, width = codes.astype(f32), f32(codes.shape[-1])
    sums = [values.sum(-1, keepdims=True, dtype=np.float64).astype(f32) for values in (x, x * x)]
    if kernels == "xnnpack":
        mean, square = (total * (f32(1) / width) for total in sums)
    else:
        mean, square = (total / width for total in sums)
    variance = np.maximum(square - mean * mean, f32(0))
    normal = (x - mean) / np.sqrt(variance + epsilon_in_codes(op, source))
    result: Array = normal * op.weight + op.bias
    return result


def by_lanes(op: LayerNorm, x: Array) -> Array:
    """(..., width) float32 -> float32, as onnxruntime's kernel for AVX2 and FMA does.

    The mean is taken in double precision. Squares are summed in eight lanes, then the lanes by halves; of what is left
    over, four at a time are squared before they are added, the last ones in one step with it.
    """
    width = x.shape[-1]
    mean = (x.sum(-1, keepdims=True, dtype=np.float64) / width).astype(f32)
    centred = x - mean
    in_lanes, in_fours = width // 8 * 8, width // 4 * 4
    lanes = np.zeros((*x.shape[:-1], 8), f32)
    for i in range(0, in_lanes, 8):
        lanes = _multiply_add(centred[..., i : i + 8], centred[..., i : i + 8], lanes)
    for half in (4, 2, 1):
        lanes = lanes[..., :half] + lanes[..., half : 2 * half]
    total = lanes[..., 0]
    for i in range(in_lanes, width):
        one = centred[..., i]
        total = total + one * one if i < in_fours else _multiply_add(one, one, total)
    inverse = f32(1) / np.sqrt(total / f32(width) + f32(op.epsilon))
    return _multiply_add(centred * inverse[..., None], op.weight, op.bias)


def _multiply_add(a: Array, b: Array, c: Array) -> Array:
    """a * b + c, rounded to float32 once."""
    result: Array = (a.astype(np.float64) * b + c).astype(f32)
    return result


def _layer_norm(op: LayerNorm, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    if kernels == "onnxruntime":
        values = by_lanes(op, dequantize(inputs[0], source))
    else:
        values = on_codes(op, inputs[0], source, kernels)
    return quantize_as(values, output, kernels)


REFERENCE: dict[type[Operator], ReferenceForm] = {LayerNorm: _layer_norm}
