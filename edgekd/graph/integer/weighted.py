"""Convolutions and linear layers: exact integer accumulation, int32 bias, one rescaling."""

import numpy as np

from edgekd.graph.integer.arithmetic import Form, Scales, multiplier, requantize
from edgekd.graph.ops import Conv2d, Linear
from edgekd.graph.structure import Array, Kernels, Operator, activation_range
from edgekd.graph.windows import convolved


def _conv2d(op: Conv2d, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    top, bottom, left, right = op.padding
    x = inputs[0].astype(np.int32) - source.zero_point
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    out_channels, _, kernel_h, kernel_w = op.weight.shape
    height = convolved(inputs[0].shape[2], kernel_h, op.stride[0], top, bottom, op.dilation[0])
    width = convolved(inputs[0].shape[3], kernel_w, op.stride[1], left, right, op.dilation[1])
    weight = op.weight.astype(np.int32)
    acc = np.zeros((len(x), out_channels, height, width), np.float64 if op.groups == 1 else np.int32)
    if op.groups == 1:  # float64 products of int8 codes are exact, and BLAS is fast
        x, weight = x.astype(np.float64), weight.astype(np.float64)
    for i in range(kernel_h):
        for j in range(kernel_w):
            rows = slice(i * op.dilation[0], i * op.dilation[0] + (height - 1) * op.stride[0] + 1, op.stride[0])
            columns = slice(j * op.dilation[1], j * op.dilation[1] + (width - 1) * op.stride[1] + 1, op.stride[1])
            acc += _tap(x[:, :, rows, columns], weight[:, :, i, j], op.groups)
    acc += op.bias.reshape(-1, 1, 1)
    low, high = activation_range(op.activation, output)
    return requantize(acc, multiplier(op, source, output).reshape(-1, 1, 1), output, low, high)


def _tap(x: Array, weight: Array, groups: int) -> Array:
    """One tap of the kernel: x (N, C, H, W), weight (out, C / groups) -> (N, out, H, W)."""
    n, channels, height, width = x.shape
    if groups == 1:
        products: Array = (weight @ x.reshape(n, channels, -1)).reshape(n, -1, height, width)
        return products
    if channels == groups:
        return np.repeat(x, len(weight) // groups, axis=1) * weight.reshape(1, -1, 1, 1)
    parts = zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
    return np.concatenate([np.einsum("oc,nchw->nohw", w, part) for part, w in parts], axis=1)


def _linear(op: Linear, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    x = (inputs[0].astype(np.int32) - source.zero_point).astype(np.float64)
    acc = x @ op.weight.astype(np.float64).T + op.bias
    low, high = activation_range(op.activation, output)
    return requantize(acc, multiplier(op, source, output), output, low, high)


FORMS: dict[type[Operator], Form] = {
    Conv2d: _conv2d,
    Linear: _linear,
}
