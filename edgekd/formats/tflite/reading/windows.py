"""Gives the readers of convolutions and pools the sizes and the explicit padding of sliding windows."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.graph.windows import Padding, same_padding

LARGEST_SIZE = 2**16
"""The exclusive upper limit of a kernel's size, a stride or a dilation."""


def sizes(op: StoredOperator, vertical: int, horizontal: int) -> tuple[int, int]:
    """Return a stride, kernel or dilation as integers; raise an error if one is not positive or too large."""
    if not (0 < vertical < LARGEST_SIZE and 0 < horizontal < LARGEST_SIZE):
        raise damage_error(f"{op} has a window, stride or dilation of {vertical} x {horizontal}")
    return int(vertical), int(horizontal)


def explicit_padding(
    op: StoredOperator,
    padding: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Padding:
    """Return the padding (top, bottom, left, right) that SAME or VALID stands for on an image of `size`."""
    if padding == schema.Padding.SAME:
        axes = zip(size, kernel, stride, dilation, strict=True)
        (top, bottom), (left, right) = (same_padding(*axis) for axis in axes)
        return top, bottom, left, right
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding != schema.Padding.VALID or reach[0] > size[0] or reach[1] > size[1]:
        raise damage_error(f"{op} has a window of {kernel} on an image of {size}")
    return 0, 0, 0, 0
