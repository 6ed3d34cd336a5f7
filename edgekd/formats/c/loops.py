"""Merge axes of arrays into nests of as few loops as possible, for the writers of C."""

from collections.abc import Sequence
from math import prod

LOOPS = 4
"""The number of loops in a kernel that iterates over axes."""


def contiguous_strides(sizes: Sequence[int]) -> list[int]:
    """Return the stride of each axis of a contiguous array, in elements."""
    return [prod(sizes[axis + 1 :]) for axis in range(len(sizes))]


def merge_axes(sizes: Sequence[int], *strides: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the (length, stride, ...) of as few loops as possible, padded to `LOOPS` with loops of length 1.

    Args:
        sizes: length of each axis.
        strides: for each array the stride of each axis, in elements.
    """
    axes = [axis for axis in zip(sizes, *strides, strict=True) if axis[0] > 1]
    merged: list[tuple[int, ...]] = []
    for axis in axes:
        if merged and all(outer == axis[0] * inner for outer, inner in zip(merged[-1][1:], axis[1:], strict=True)):
            merged[-1] = (merged[-1][0] * axis[0], *axis[1:])
        else:
            merged.append(axis)
    return [(1, *[0] * len(strides))] * (LOOPS - len(merged)) + merged
