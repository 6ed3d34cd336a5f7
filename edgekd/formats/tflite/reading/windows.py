"""The geometry of sliding windows as a file gives it: positive sizes, and explicit padding."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damaged
from edgekd.graph.windows import Padding, same_padding

LARGEST = 2**16
"""Of a kernel, a stride or a dilation."""


def sizes(op: StoredOperator, vertical: int, horizontal: int) -> tuple[int, int]:
    """A stride, kernel or dilation."""
    if not (0 < vertical < LARGEST and 0 < horizontal < LARGEST):
        raise damaged(f"{op} has a window, stride or dilation of {vertical} x {horizontal}")
    return int(vertical), int(horizontal)


def explicit_padding(
    op: StoredOperator,
    padding: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> Padding:
    """What SAME or VALID comes to on an image of `size`."""
    if padding == schema.Padding.SAME:
        along = zip(size, kernel, stride, dilation, strict=True)
        (top, bottom), (left, right) = (same_padding(*axis) for axis in along)
        return top, bottom, left, right
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding != schema.Padding.VALID or reach[0] > size[0] or reach[1] > size[1]:
        raise damaged(f"{op} has a window of {kernel} on an image of {size}")
    return 0, 0, 0, 0
