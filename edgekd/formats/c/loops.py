"""Nests of loops through arrays, as few loops as there can be."""

from collections.abc import Sequence
from math import prod

LOOPS = 4
"""That kernels which step through axes have."""


def steps(sizes: Sequence[int]) -> list[int]:
    """How many elements one step along each axis of a contiguous array is."""
    return [prod(sizes[axis + 1 :]) for axis in range(len(sizes))]


def joined(sizes: Sequence[int], *each: Sequence[int]) -> list[tuple[int, ...]]:
    """(length, step, ...) of a nest of loops, as few as there can be, filled up to `LOOPS` with loops of one round."""
    axes = [axis for axis in zip(sizes, *each, strict=True) if axis[0] > 1]
    merged: list[tuple[int, ...]] = []
    for axis in axes:
        if merged and all(outer == axis[0] * inner for outer, inner in zip(merged[-1][1:], axis[1:], strict=True)):
            merged[-1] = (merged[-1][0] * axis[0], *axis[1:])
        else:
            merged.append(axis)
    return [(1, *[0] * len(each))] * (LOOPS - len(merged)) + merged
