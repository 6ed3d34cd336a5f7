"""Convolutions and linear layers: exact integer accumulation, int32 bias, one rescaling."""

import numpy as np

from edgekd.graph.operators.arithmetic import (
    fixed_point,
    multiplier,
    requantize,
    round_in_16_bits,
    round_twice,
    saturate,
)
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear
from edgekd.graph.structure import Array, Kernels, Operator, Quantization, Weighted, activation_range
from edgekd.graph.windows import output_length


def _conv2d(op: Conv2d, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    x = _less_zero_point(op, scales, inputs[0])
    top, bottom, left, right = op.padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    kernel_h, kernel_w = op.kernel
    height = output_length(inputs[0].shape[2], kernel_h, op.stride[0], top, bottom, op.dilation[0])
    width = output_length(inputs[0].shape[3], kernel_w, op.stride[1], left, right, op.dilation[1])
    weight = op.weight.astype(x.dtype)
    acc = np.zeros((len(x), len(weight), height, width), x.dtype)
    for i, j in np.ndindex(kernel_h, kernel_w):
        rows = slice(i * op.dilation[0], i * op.dilation[0] + (height - 1) * op.stride[0] + 1, op.stride[0])
        columns = slice(j * op.dilation[1], j * op.dilation[1] + (width - 1) * op.stride[1] + 1, op.stride[1])
        acc += _tap(x[:, :, rows, columns], weight[:, :, i, j], op.groups)
    return _rescale(op, scales, acc + op.bias.reshape(-1, 1, 1), kernels, axis=1)


def _conv_transpose2d(op: ConvTranspose2d, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    """Add the kernel times each input value to the full result, and cut that to the output's size."""
    x = _less_zero_point(op, scales, inputs[0])
    n, _, height, width = x.shape
    out_height, out_width = scales.tensors[op.output].shape[1:]
    kernel_h, kernel_w = op.kernel
    weight = op.weight.astype(x.dtype)
    acc = np.zeros((n, len(weight), *op.uncut_size((height, width), (out_height, out_width))), x.dtype)
    for i, j in np.ndindex(kernel_h, kernel_w):
        rows = slice(i, i + (height - 1) * op.stride[0] + 1, op.stride[0])
        columns = slice(j, j + (width - 1) * op.stride[1] + 1, op.stride[1])
        acc[:, :, rows, columns] += _tap(x, weight[:, :, i, j], op.groups)
    top, left = op.padding
    acc = acc[:, :, top : top + out_height, left : left + out_width]
    return _rescale(op, scales, acc + op.bias.reshape(-1, 1, 1), kernels, axis=1)


def _tap(x: Array, weight: Array, groups: int) -> Array:
    """Multiply x (N, C, H, W) by one tap of the kernel, (out, C / groups): (N, out, H, W)."""
    n, channels, height, width = x.shape
    if channels == groups:
        return np.repeat(x, len(weight) // groups, axis=1) * weight.reshape(1, -1, 1, 1)
    by_group = weight.reshape(groups, -1, channels // groups) @ x.reshape(n, groups, channels // groups, -1)
    products: Array = by_group.reshape(n, -1, height, width)
    return products


def _linear(op: Linear, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    if kernels == "xnnpack" and scales.quantization(op.output).bits == 16:  # which XNNPACK leaves to LiteRT's kernels
        return _linear_rounding_once(op, scales, inputs, kernels)
    x = _less_zero_point(op, scales, inputs[0])
    return _rescale(op, scales, x @ op.weight.astype(x.dtype).T + op.bias, kernels, axis=-1)


def _linear_rounding_once(op: Linear, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    """A linear layer that rescales in double precision and rounds half away from zero (LiteRT 2.3.0)."""
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    x = _less_zero_point(op, scales, inputs[0])
    exact = (x @ op.weight.astype(x.dtype).T + op.bias) * ratio(op, source, output)
    codes = np.floor(np.abs(exact) + 0.5) * np.sign(exact) + output.zero_point
    return saturate(codes, *activation_range(op.activation, output, "tflm"), output.bits)


def _less_zero_point(op: Operator, scales: Scales, codes: Array) -> Array:
    """Codes minus the zero point in float64, in which sums of their products are exact and BLAS is fast."""
    return codes.astype(np.float64) - scales.quantization(op.inputs[0]).zero_point


def _rescale(op: Weighted, scales: Scales, acc: Array, kernels: Kernels, axis: int) -> Array:
    """Convert accumulators, whose channels are on `axis`, to the output's codes."""
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    low, high = activation_range(op.activation, output, kernels)
    shape = [1] * acc.ndim
    shape[axis] = -1
    if kernels != "tflm" and output.bits == 8:
        return requantize(acc, multiplier(op, source, output).reshape(shape), output, low, high)
    mantissa, exponent = (part.reshape(shape) for part in fixed_point(ratio(op, source, output)))
    if output.bits == 16:
        low, high = activation_range(op.activation, output, "tflm")
        return saturate(round_in_16_bits(acc, mantissa, exponent), low, high, bits=16)
    return saturate(round_twice(acc, mantissa, exponent) + output.zero_point, low, high)


def ratio(op: Weighted, source: Quantization, output: Quantization) -> Array:
    """The ratio input_scale * weight_scale / output_scale of each output channel in double precision, (out,)."""
    assert op.weight_scale is not None
    exact = source.scale * op.weight_scale.astype(np.float32).astype(np.float64) / output.scale
    return np.broadcast_to(exact, len(op.bias))


REFERENCE: dict[type[Operator], ReferenceForm] = {
    Conv2d: _conv2d,
    ConvTranspose2d: _conv_transpose2d,
    Linear: _linear,
}

LITERT_REFERENCE: dict[type[Operator], ReferenceForm] = {Linear: _linear_rounding_once}
"""The operators in which LiteRT's reference kernels differ from TFLite Micro's."""
