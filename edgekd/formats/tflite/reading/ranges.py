"""Gives the readers of slices the (begin, end, step) of each axis from the begins, sizes, ends, strides and masks."""

from collections.abc import Sequence
from typing import Any

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.graph.structure import Array

Range = tuple[int, int, int]


def slice_ranges(op: StoredOperator, shape: Sequence[int], begin: Array, size: Array) -> list[Range]:
    """Return the ranges of a SLICE, in which the size -1 stands for all positions from the begin on."""
    begins, lengths = ([int(n) for n in v.ravel()] for v in (begin, size))
    if len(begins) != len(shape) or len(lengths) != len(shape):
        raise damage_error(f"{op} slices {len(shape)} axes by {len(begins)}")
    ranges = [(b, n if length == -1 else b + length, 1) for b, length, n in zip(begins, lengths, shape, strict=True)]
    if any(not 0 <= b < e <= n for (b, e, _), n in zip(ranges, shape, strict=True)):
        raise damage_error(f"{op} slices {tuple(shape)} from {begins} by {lengths}")
    return ranges


def strided_ranges(
    op: StoredOperator, shape: Sequence[int], arrays: Sequence[Array], options: Any
) -> tuple[list[Range], list[int]]:
    """Return the ranges of a STRIDED_SLICE from its begins, ends and strides, and the axes that its output lacks."""
    bounds = [[int(n) for n in v.ravel()] for v in arrays]
    if options.ellipsisMask or options.newAxisMask or getattr(options, "offset", False):
        raise op.refusal("uses an ellipsis, a new axis or offsets", "write out all axes")
    count = len(bounds[0])
    if count > len(shape) or any(len(b) != count for b in bounds) or 0 in bounds[2]:
        raise damage_error(f"{op} slices {len(shape)} axes by {count}")
    ranges: list[Range] = [(0, n, 1) for n in shape]
    dropped_axes: list[int] = []
    for axis, (b, e, s) in enumerate(zip(*bounds, strict=True)):
        length, bit = shape[axis], 1 << axis
        if options.shrinkAxisMask & bit:
            b = b + length if b < 0 else b
            ranges[axis], dropped_axes = (b, b + 1, 1), [*dropped_axes, axis]
            if not 0 <= b < length:
                raise damage_error(f"{op} takes position {b} of {length}")
            continue
        first = None if options.beginMask & bit else b
        last = None if options.endMask & bit else e
        ranges[axis] = slice(first, last, s).indices(length)
    if any(not len(range(*r)) for r in ranges):
        raise damage_error(f"{op} slices nothing out of {tuple(shape)}")
    return [_tight_range(range(*r)) for r in ranges], dropped_axes


def _tight_range(positions: range) -> Range:
    """Return the range as (begin, end, step), with the end right after the last position if the step is positive."""
    if positions.step < 0:
        return positions.start, positions.stop, positions.step
    return positions.start, positions[-1] + 1, positions.step
