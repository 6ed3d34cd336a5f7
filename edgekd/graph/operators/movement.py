"""Operators that move codes without computing, and Requantize, which changes their scale."""

import numpy as np

from edgekd.graph.operators.arithmetic import f32, fixed_point, quantize, round_twice, saturate
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import Concat, Constant, Pad, Requantize, Reshape, Slice, Take, Transpose
from edgekd.graph.structure import Array, Kernels, Operator, Quantization


def _pad(op: Pad, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    code = quantize(np.array(op.value), scales.quantization(op.output))
    return np.pad(inputs[0], ((0, 0), *op.amounts), constant_values=code)


def _slice(op: Slice, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return inputs[0][(slice(None), *(slice(*r) for r in op.ranges))]


def _reshape(op: Reshape, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return inputs[0].reshape(len(inputs[0]), *scales.tensors[op.output].shape)


def _transpose(op: Transpose, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return inputs[0].transpose(0, *(axis + 1 for axis in op.order))


def _concat(op: Concat, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    samples = max(map(len, inputs))  # a constant is one for all of them
    return np.concatenate([np.broadcast_to(x, (samples, *x.shape[1:])) for x in inputs], axis=op.axis + 1)


def _take(op: Take, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    codes = inputs[0]
    for axis, positions in enumerate(op.positions):
        if positions is not None:
            codes = codes.take(positions, axis=axis + 1)
    return codes


def _constant(op: Constant, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return op.value[None]


def _requantize(op: Requantize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = (scales.quantization(name) for name in (op.inputs[0], op.output))
    return rescale(inputs[0].astype(np.int64) - source.zero_point, source, output, kernels)


def rescale(difference: Array, source: Quantization, output: Quantization, kernels: Kernels) -> Array:
    """Convert codes minus the zero point of `source`, int64, to int8 codes on another scale.

    XNNPACK's multiplier (qs8-vcvt) has 8 fractional bits. Ratios beyond 2^-8 and 2^7 run on LiteRT's built-in kernel,
    which rounds half up where gemmlowp's second rounding is half away from zero. For the last values of a tensor, which
    do not fill 16 lanes, that kernel rounds as gemmlowp does. That is not reproduced here: it differs on values of
    exactly half a step below zero, at ratios between 2^-9 and 2^-8.
    """
    wide = 16 in (source.bits, output.bits)
    if kernels == "onnxruntime":  # to real values and back
        values = difference.astype(f32) * f32(source.scale)
        return saturate(np.rint(values / f32(output.scale)) + output.zero_point)
    ratio = f32(source.scale) / f32(output.scale)
    if kernels == "xnnpack" and not wide and 2.0**-8 <= ratio <= 2.0**7:
        return saturate(((difference * int(np.rint(f32(256) * ratio)) + 128) >> 8) + output.zero_point)
    mantissa, exponent = fixed_point(np.asarray(np.float64(f32(source.scale)) / np.float64(f32(output.scale))))
    if kernels == "xnnpack" and not wide and exponent < 0:
        high = round_twice(difference, mantissa, np.zeros_like(exponent))
        return saturate(((high + (1 << (-exponent - 1))) >> -exponent) + output.zero_point)
    codes = round_twice(difference, mantissa, exponent) + output.zero_point
    return saturate(codes, output.lowest, output.highest, output.bits)


REFERENCE: dict[type[Operator], ReferenceForm] = {
    Pad: _pad,
    Slice: _slice,
    Reshape: _reshape,
    Transpose: _transpose,
    Concat: _concat,
    Take: _take,
    Constant: _constant,
    Requantize: _requantize,
}
