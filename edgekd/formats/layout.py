"""Describe tensors in memory for the writers of formats: torch is channels first, TFLite's kernels channels last.

A `Layout` holds the stored axes that make up each of torch's axes. A transpose only permutes torch's axes and a reshape
only splits and joins them: values are copied where an operator reads an axis order in which the tensor is not stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from edgekd.graph.structure import Array

Order = tuple[int | None, ...]
"""Torch's axes in their order in memory, outermost first; None is an extra axis of length 1."""

Shape = tuple[int, ...]

IMAGE: Order = (1, 2, 0)
"""The axis order of images, (C, H, W) in torch: height, width, channels."""

SEQUENCE: Order = (None, 1, 0)
"""The axis order of sequences, (C, T) in torch, for kernels that take images: height 1, steps, channels."""

BROADCAST_AXES = 3
"""The most axes, without the batch, that TFLite Micro's kernels broadcast; with more the process ends."""


@dataclass(frozen=True)
class Layout:
    """The order of a tensor's values in memory, without the batch axis.

    Attributes:
        sizes: lengths of the stored axes, outermost first.
        axes: positions in `sizes` that make up each of torch's axes, outermost first. An axis of length 1 may have
            none; a stored axis of length 1 may belong to none.
    """

    sizes: Shape
    axes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, shape: Shape, order: Order | None = None) -> "Layout":
        """Return the layout of a tensor whose axes are not split, in `order`, by default torch's."""
        order = tuple(range(len(shape))) if order is None else order
        sizes = tuple(1 if axis is None else shape[axis] for axis in order)
        return cls(sizes, tuple((order.index(axis),) if axis in order else () for axis in range(len(shape))))

    @property
    def shape(self) -> Shape:
        """Return the tensor's shape in torch."""
        return tuple(prod(self.sizes[i] for i in places) for places in self.axes)

    @property
    def memory(self) -> tuple[tuple[int, int, int], ...]:
        """Return triples (axis, step along it, length), outermost first, equal for layouts with equal bytes."""
        runs: list[tuple[int, int, int]] = []
        steps = self._steps()
        for place, length in enumerate(self.sizes):
            if length == 1:
                continue
            axis, step = steps[place]
            if runs and runs[-1][:2] == (axis, step * length):
                runs[-1] = (axis, step, runs[-1][2] * length)
            else:
                runs.append((axis, step, length))
        return tuple(runs)

    def _steps(self) -> dict[int, tuple[int, int]]:
        """Return the (axis, step along the axis) of each stored axis, by its position."""
        steps: dict[int, tuple[int, int]] = {}
        for axis, places in enumerate(self.axes):
            step = 1
            for place in reversed(places):
                steps[place] = (axis, step)
                step *= self.sizes[place]
        return steps

    def transpose(self, order: tuple[int, ...]) -> "Layout":
        """Return the layout of the same bytes after a transpose: axis k is the former axis order[k]."""
        return Layout(self.sizes, tuple(self.axes[axis] for axis in order))

    def reshape(self, shape: Shape) -> "Layout | None":
        """Return the layout of the same bytes after a reshape in torch; None if they have to be reordered first."""
        pieces = self._pieces()
        lengths = [prod(self.sizes[place] for place in piece) for piece in pieces]
        cuts: list[list[int]] = [[] for _ in pieces]  # the lengths into which each piece is split, outermost first
        axes: list[list[tuple[int, int]]] = []  # (piece, cut)
        piece = 0
        for size in shape:
            axes.append([])
            while size > 1:
                length = min(size, lengths[piece])
                if size % length or lengths[piece] % length:
                    return None
                axes[-1].append((piece, len(cuts[piece])))
                cuts[piece].append(length)
                size, lengths[piece] = size // length, lengths[piece] // length
                piece += lengths[piece] == 1
        return self._cut(pieces, cuts, axes)

    def _pieces(self) -> list[list[int]]:
        """Return the longest runs of stored axes that are consecutive both in memory and in torch's order."""
        pieces: list[list[int]] = []
        last = -1
        for place in (place for places in self.axes for place in places if self.sizes[place] > 1):
            if pieces and place > last and prod(self.sizes[last + 1 : place]) == 1:
                pieces[-1].append(place)
            else:
                pieces.append([place])
            last = place
        return pieces

    def _cut(self, pieces: list[list[int]], cuts: list[list[int]], axes: list[list[tuple[int, int]]]) -> "Layout":
        """Return the layout after each piece is split at its cuts; `axes` are the (piece, cut) of each new axis."""
        first = {piece[0]: i for i, piece in enumerate(pieces)}
        piece_places = {place for piece in pieces for place in piece}
        sizes: list[int] = []
        places: dict[tuple[int, int], list[int]] = {}
        for place, length in enumerate(self.sizes):
            if place in first:
                i = first[place]
                for n, parts in enumerate(_split_lengths(cuts[i], [self.sizes[p] for p in pieces[i]])):
                    places[i, n] = [len(sizes) + k for k in range(len(parts))]
                    sizes += parts
            elif place not in piece_places:
                sizes.append(length)
        return Layout(tuple(sizes), tuple(tuple(p for key in keys for p in places[key]) for keys in axes))

    def order(self) -> Order | None:
        """Return the order in which the axes are stored; None if one of them is split.

        Axes of length 1 that are not stored take the stored positions that belong to no axis. The others become the
        outermost axes, except an image's channels, which become the innermost.
        """
        runs = [axis for axis, _, _ in self.memory]
        if len(set(runs)) != len(runs):
            return None
        order: list[int | None] = []
        steps = self._steps()
        for place, length in enumerate(self.sizes):
            axis = steps[place][0] if place in steps else None
            if axis is None or axis not in order:
                order.append(axis)
            elif length == 1:
                order.append(None)
        missing = [axis for axis in range(len(self.axes)) if axis not in order]
        while missing and None in order:
            order[order.index(None)] = missing.pop(0)
        if len(self.axes) == 3 and 0 in missing:
            missing.remove(0)
            order.append(0)
        return (*missing, *order)

    def rows(self) -> "tuple[Layout, Layout] | None":
        """Return the layouts of the leading axes and of the last axis; None if the last is not stored innermost."""
        inner = [place for place in self.axes[-1] if self.sizes[place] > 1]
        start = min(inner, default=len(self.sizes))
        if any(self.sizes[place] > 1 and place not in inner for place in range(start, len(self.sizes))):
            return None
        leading = tuple(tuple(place for place in places if place < start) for places in self.axes[:-1])
        return Layout(self.sizes[:start], leading), Layout(
            self.sizes[start:], (tuple(place - start for place in inner),)
        )

    @property
    def row_shape(self) -> Shape:
        """Return the stored shape for kernels that work on rows; more than four axes are joined to two."""
        return self.sizes if len(self.sizes) <= 4 else (prod(self.sizes[:-1]), self.sizes[-1])

    def broadcast(self, shape: Shape) -> "Layout":
        """Return the layout of a tensor of another shape that numpy would broadcast to this one."""
        leading = len(self.axes) - len(shape)
        axes = self.axes[leading:]
        full_places = {
            p for places, n, m in zip(axes, shape, self.shape[leading:], strict=True) if n == m for p in places
        }
        return Layout(tuple(n if place in full_places else 1 for place, n in enumerate(self.sizes)), axes)

    def broadcast_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Return the stored shapes of this tensor and of tensors of `shapes`, which numpy would broadcast to it.

        Neighbouring axes are joined if there are more than TFLite Micro can broadcast.
        """
        columns = list(zip(self.sizes, *(self.broadcast(shape).sizes for shape in shapes), strict=True))
        if len(columns) > BROADCAST_AXES:
            groups: list[tuple[int, ...]] = []
            for column in (column for column in columns if column[0] > 1):
                if groups and [n > 1 for n in groups[-1]] == [n > 1 for n in column]:
                    groups[-1] = tuple(a * b for a, b in zip(groups[-1], column, strict=True))
                else:
                    groups.append(column)
            columns = groups or columns[:1]
        return [tuple(row) for row in zip(*columns, strict=True)]

    def append_axis(self, length: int) -> "Layout":
        """Return the layout with one more axis of `length`, which is innermost."""
        return Layout((*self.sizes, length), (*self.axes, (len(self.sizes),)))

    def arrange(self, values: Array) -> Array:
        """Return an array of torch's shape in its order in memory, with the shape `sizes`."""
        places = [place for axis in self.axes for place in axis]
        extra = [place for place in range(len(self.sizes)) if place not in places]
        split = values.reshape([self.sizes[place] for place in places] + [1] * len(extra))
        return np.ascontiguousarray(split.transpose(np.argsort(places + extra)))


def _split_lengths(cuts: list[int], lengths: list[int]) -> list[list[int]]:
    """Split each cut of a piece at the borders of its stored axes, `lengths`, unless cuts and axes cross."""
    steps = sorted({int(prod(parts[i:])) for parts in (cuts, lengths) for i in range(len(parts) + 1)})
    if any(b % a for a, b in pairwise(steps)):
        return [[cut] for cut in cuts]
    splits: list[list[int]] = []
    for i in range(len(cuts)):
        low, high = prod(cuts[i + 1 :]), prod(cuts[i:])
        splits.append([b // a for a, b in pairwise(steps) if low <= a < high][::-1])
    return splits


def transposition(source: Layout, file_shape: Shape, target: Layout) -> tuple[Shape, tuple[int, ...], Shape] | None:
    """Return the (shape before, permutation, shape after) of the transposition between two layouts of a tensor.

    Return None if the two split an axis at positions that cross: transpose to torch's order first, then again.
    `file_shape` is the source's shape in the file, which may join axes that its layout splits.
    """
    splits: list[list[int]] = [[] for _ in source.axes]  # steps along each axis at which either layout splits it
    for axis, step, length in source.memory + target.memory:
        splits[axis] += [step, step * length]
    splits = [sorted(set(steps)) for steps in splits]
    if any(b % a for steps in splits for a, b in pairwise(steps)):
        return None
    before, after = (
        [(axis, s) for axis, step, n in layout.memory for s in reversed(splits[axis]) if step <= s < step * n]
        for layout in (source, target)
    )
    lengths = {(axis, a): b // a for axis, steps in enumerate(splits) for a, b in pairwise(steps)}
    direct = len(file_shape) == len(target.sizes) <= 4  # with the batch 5, the most that TFLite Micro transposes
    direct &= [n for n in file_shape if n > 1] == [lengths[key] for key in before]
    if direct and [n for n in target.sizes if n > 1] == [lengths[key] for key in after]:
        ones = [place for place, n in enumerate(file_shape) if n == 1]
        place = dict(zip(before, (place for place, n in enumerate(file_shape) if n > 1), strict=True))
        keys = iter(after)
        return file_shape, tuple(ones.pop(0) if n == 1 else place[next(keys)] for n in target.sizes), target.sizes
    runs: list[list[tuple[int, int]]] = []  # axes that stay neighbours
    for key in before:
        if runs and after.index(key) == after.index(runs[-1][-1]) + 1:
            runs[-1].append(key)
        else:
            runs.append([key])
    shape = tuple(prod(lengths[key] for key in run) for run in runs)
    order = tuple(int(i) for i in np.argsort([after.index(run[0]) for run in runs]))
    return shape, order, tuple(shape[i] for i in order)
