"""Means and maxima over windows and over whole images."""

import numpy as np

from edgekd.graph.integer.arithmetic import Form, Scales, f32, requantize, saturated
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d
from edgekd.graph.structure import QMAX, QMIN, Array, Kernels, Operator


def _global_average_pool(op: GlobalAveragePool, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = scales.quantization(op.inputs[0]), scales.quantization(op.output)
    count = inputs[0].shape[2] * inputs[0].shape[3]
    acc = inputs[0].astype(np.int32).sum(axis=(2, 3)) - count * source.zero_point
    scale = (f32(source.scale) / f32(output.scale)) / f32(count)
    return requantize(acc, np.asarray(scale), output, QMIN, QMAX)


def _windows(x: Array, kernel: tuple[int, int], stride: tuple[int, int]) -> Array:
    """(N, C, H, W) -> (N, C, out H, out W, kernel H, kernel W)."""
    windows: Array = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]]


def _max_pool2d(op: MaxPool2d, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    top, bottom, left, right = op.padding
    x = np.pad(inputs[0], ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=QMIN)
    highest: Array = _windows(x, op.kernel, op.stride).max(axis=(4, 5))
    return highest


def _average_pool2d(op: AveragePool2d, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    windows, count = _windows(inputs[0].astype(np.int32), op.kernel, op.stride), op.kernel[0] * op.kernel[1]
    if (
        kernels == "onnxruntime"
    ):  # float values, averaged in the window's order; rounded with the uint8 zero point added
        q = scales.quantization(op.output)
        values = (windows - q.zero_point).astype(f32) * f32(q.scale)
        mean = np.zeros(windows.shape[:4], f32)
        for i, j in np.ndindex(*op.kernel):
            mean += values[..., i, j]
        return saturated(np.rint(mean / f32(count) / f32(q.scale) + f32(q.zero_point - QMIN)) + QMIN)
    total = windows.sum(axis=(4, 5))
    return saturated((np.abs(total) + count // 2) // count * np.sign(total))


FORMS: dict[type[Operator], Form] = {
    GlobalAveragePool: _global_average_pool,
    MaxPool2d: _max_pool2d,
    AveragePool2d: _average_pool2d,
}
