"""Means and maxima over windows, over whole images and over any axes."""

import math

import numpy as np

from edgekd.graph.operators.arithmetic import f32, fixed_point, round_twice, saturate
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean, Pool2d
from edgekd.graph.structure import QMIN, Array, Kernels, Operator, Quantization


def _global_average_pool(op: GlobalAveragePool, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return _mean(op, (1, 2), scales, inputs[0], kernels)


def _mean(op: Operator, axes: tuple[int, ...], scales: Scales, codes: Array, kernels: Kernels) -> Array:
    """The mean over `axes` of the shape, the batch not counted."""
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    count = math.prod(scales.tensors[op.inputs[0]].shape[axis] for axis in axes)
    total = codes.astype(np.int64).sum(axis=tuple(axis + 1 for axis in axes))
    if kernels == "xnnpack" and output.bits == 8:
        factor, constant = xnnpack_mean(source, output, count)
        return saturate(np.rint(total.astype(f32) * factor + constant))
    acc = total - count * source.zero_point
    if kernels != "onnxruntime":
        codes = round_twice(acc, *tflm_mean(source, output, count)) + output.zero_point
        return saturate(codes, output.lowest, output.highest, output.bits)
    return saturate(np.rint(acc.astype(f32) * onnxruntime_mean(source, output, count)) + output.zero_point)


def xnnpack_mean(source: Quantization, output: Quantization, count: int) -> tuple[np.float32, np.float32]:
    """XNNPACK's (factor, constant) for a sum of codes; the constant holds both zero points."""
    factor = (f32(source.scale) / f32(output.scale)) * (f32(1) / f32(count))
    return factor, f32(output.zero_point) - f32(count * source.zero_point) * factor


def tflm_mean(source: Quantization, output: Quantization, count: int) -> tuple[Array, Array]:
    """TFLite Micro's (mantissa, exponent): the mantissa is shifted by the bits of the count, then divided by it."""
    mantissa, exponent = fixed_point(np.asarray(source.scale / output.scale))
    bits = min(count.bit_length() - 1, 32, 31 + int(exponent))
    return (mantissa << bits) // count, exponent - bits


def onnxruntime_mean(source: Quantization, output: Quantization, count: int) -> np.float32:
    """The float32 factor of onnxruntime's QLinearGlobalAveragePool."""
    return f32(source.scale) / (f32(output.scale) * f32(count))


def _windows(x: Array, op: Pool2d, fill: int) -> Array:
    """The windows of (N, C, H, W) as (N, C, out H, out W, kernel H, kernel W)."""
    top, bottom, left, right = op.padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    windows: Array = np.lib.stride_tricks.sliding_window_view(x, op.kernel, axis=(2, 3))
    return windows[:, :, :: op.stride[0], :: op.stride[1]]


def _max_pool2d(op: MaxPool2d, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    highest: Array = _windows(inputs[0], op, scales.quantization(op.output).lowest).max(axis=(4, 5))
    return highest


def _average_pool2d(op: AveragePool2d, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    size = scales.tensors[op.inputs[0]].shape[1:]
    count = op.cells((size[0], size[1]))
    if kernels != "onnxruntime":  # the mean of the codes themselves, rounded half away from zero
        total = _windows(inputs[0].astype(np.int32), op, 0).sum(axis=(4, 5))
        q = scales.quantization(op.output)
        return saturate((np.abs(total) + count // 2) // count * np.sign(total), q.lowest, q.highest, q.bits)
    if op.kernel == size and not any(op.padding):  # one window over everything runs as a global pool
        return _mean(op, (1, 2), scales, inputs[0], kernels)[:, :, None, None]
    # Real values, added in the window's order; the uint8 zero point is added before rounding.
    q = scales.quantization(op.output)
    values = _windows((inputs[0].astype(np.int32) - q.zero_point).astype(f32) * f32(q.scale), op, 0)
    mean = np.zeros(values.shape[:4], f32)
    for i, j in np.ndindex(*op.kernel):
        mean += values[..., i, j]
    return saturate(np.rint(mean / count.astype(f32) / f32(q.scale) + f32(q.zero_point - QMIN)) + QMIN)


REFERENCE: dict[type[Operator], ReferenceForm] = {
    GlobalAveragePool: _global_average_pool,
    Mean: lambda op, scales, inputs, kernels: _mean(op, op.axes, scales, inputs[0], kernels),
    MaxPool2d: _max_pool2d,
    AveragePool2d: _average_pool2d,
}
