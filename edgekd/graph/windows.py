"""The geometry of sliding windows: how many there are, how many cells each covers, and TFLite's names of paddings."""

from typing import Literal

import numpy as np

from edgekd.graph.structure import Array

Pair = tuple[int, int]
"""One number for the height and one for the width."""

Padding = tuple[int, int, int, int]
"""The padding at the top, at the bottom, on the left and on the right."""

PaddingName = Literal["SAME", "VALID"]
"""TFLite's names for its two paddings."""


def output_length(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """The length of an axis after a convolution or pool."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def cells(size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """How many cells of an image of `size` each window covers, padding not counted: (out height, out width), int64."""
    top, bottom, left, right = padding
    rows = _cells_along(size[0], kernel[0], stride[0], top, bottom)
    columns = _cells_along(size[1], kernel[1], stride[1], left, right)
    return rows[:, None] * columns[None]


def _cells_along(size: int, kernel: int, stride: int, before: int, after: int) -> Array:
    starts = np.arange(output_length(size, kernel, stride, before, after)) * stride - before
    return np.minimum(starts + kernel, size) - np.maximum(starts, 0)


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """The (before, after) padding of TensorFlow's SAME along one axis; an odd cell is added after."""
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def tflite_padding(
    size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> PaddingName | None:
    """TFLite's name for a padding of an image of `size`, or None where it has none."""
    if not any(padding):
        return "VALID"
    height, width = (same_padding(*axis) for axis in zip(size, kernel, stride, dilation, strict=True))
    return "SAME" if padding == height + width else None


def padded_elements(shape: tuple[int, ...], padding: Padding) -> int:
    """How many elements an image of (C, H, W) has with its padding."""
    channels, height, width = shape
    top, bottom, left, right = padding
    return channels * (height + top + bottom) * (width + left + right)


def uncut_size(size: Pair, out: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    """The (height, width) of a transposed convolution's full result, from which `padding` is cut off to leave `out`."""
    reach = [(n - 1) * s + k for n, s, k in zip(size, stride, kernel, strict=True)]
    return max(reach[0], padding[0] + out[0]), max(reach[1], padding[1] + out[1])


def tflite_transposed_padding(
    size: Pair, kernel: Pair, stride: Pair, padding: Pair, output_padding: Pair
) -> PaddingName | None:
    """TFLite's name for a transposed convolution's padding on an image of `size`, or None where a slice has to follow.

    SAME cuts a result down to `size * stride`. XNNPACK takes it only where there is something to cut.
    """
    if not any(padding) and min(output_padding) >= 0:
        return "VALID"
    same = [same_padding(n * s, k, s) for n, s, k in zip(size, stride, kernel, strict=True)]
    cut = [(p, p - extra) for p, extra in zip(padding, output_padding, strict=True)]
    return "SAME" if same == cut and all(k >= s for k, s in zip(kernel, stride, strict=True)) else None
