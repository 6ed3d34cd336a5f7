"""The geometry of sliding windows: their number, how many cells padding leaves them, and TFLite's names of paddings."""

from collections.abc import Mapping
from math import prod
from typing import Literal

import numpy as np

from edgekd.graph.ops import AveragePool2d, Conv2d, ConvTranspose2d, MaxPool2d
from edgekd.graph.structure import Array, Operator, Tensor


def convolved(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """The length of an axis after a convolution or pool."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def cells(op: AveragePool2d, size: tuple[int, int]) -> Array:
    """How many cells of an image of `size` each window covers, padding not counted: (out height, out width), int64."""
    top, bottom, left, right = op.padding
    rows = _covered(size[0], op.kernel[0], op.stride[0], top, bottom)
    columns = _covered(size[1], op.kernel[1], op.stride[1], left, right)
    return rows[:, None] * columns[None]


def _covered(size: int, kernel: int, stride: int, before: int, after: int) -> Array:
    starts = np.arange(convolved(size, kernel, stride, before, after)) * stride - before
    return np.minimum(starts + kernel, size) - np.maximum(starts, 0)


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) that TensorFlow's SAME pads along one axis: the odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def tflite_padding(op: Conv2d | MaxPool2d | AveragePool2d, shape: tuple[int, ...]) -> Literal["SAME", "VALID"] | None:
    """TFLite's name for the operator's padding on an input of (C, H, W); None where it has none."""
    if not any(op.padding):
        return "VALID"
    kernel = op.weight.shape[2:] if isinstance(op, Conv2d) else op.kernel
    dilation = op.dilation if isinstance(op, Conv2d) else (1, 1)
    height = same_padding(shape[1], kernel[0], op.stride[0], dilation[0])
    width = same_padding(shape[2], kernel[1], op.stride[1], dilation[1])
    return "SAME" if op.padding == height + width else None


def tflite_copy(op: Operator, tensors: Mapping[str, Tensor]) -> int:
    """Elements of what stands between an operator of windows and its PAD or slice in a TFLite file; 0 without one."""
    if not isinstance(op, (Conv2d, MaxPool2d, AveragePool2d, ConvTranspose2d)):
        return 0
    channels, height, width = tensors[op.inputs[0]].shape
    if isinstance(op, ConvTranspose2d):
        outputs, *size = tensors[op.output].shape
        cut = tflite_transposed_padding(op, (height, width)) is None
        return prod((outputs, *full_size(op, (height, width), (size[0], size[1])))) if cut else 0
    if tflite_padding(op, (channels, height, width)) is not None:
        return 0
    if isinstance(op, AveragePool2d):
        return channels * height * width
    top, bottom, left, right = op.padding
    return channels * (height + top + bottom) * (width + left + right)


def full_size(op: ConvTranspose2d, size: tuple[int, int], out: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a transposed convolution's full result, of which `padding` is cut off."""
    reach = [(n - 1) * s + k for n, s, k in zip(size, op.stride, op.weight.shape[2:], strict=True)]
    return max(reach[0], op.padding[0] + out[0]), max(reach[1], op.padding[1] + out[1])


def tflite_transposed_padding(op: ConvTranspose2d, size: tuple[int, int]) -> Literal["SAME", "VALID"] | None:
    """TFLite's name for a transposed convolution's padding on an image of `size`; None where more is to be cut off.

    SAME cuts a result down to `size * stride`. XNNPACK takes it only where there is something to cut.
    """
    if not any(op.padding) and min(op.output_padding) >= 0:
        return "VALID"
    kernel = op.weight.shape[2:]
    cut = [same_padding(n * s, k, s) for n, s, k in zip(size, op.stride, kernel, strict=True)]
    asked = [(p, p - extra) for p, extra in zip(op.padding, op.output_padding, strict=True)]
    return "SAME" if cut == asked and all(k >= s for k, s in zip(kernel, op.stride, strict=True)) else None
