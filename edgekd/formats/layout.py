"""How a tensor lies in memory: torch counts axes channels first, TFLite's kernels want channels last.

A `Layout` says which stored axes make up each of torch's. A transpose then only renames axes and a reshape only splits
and joins them: no byte moves before an operator asks for an order that is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from edgekd.graph.structure import Array

Order = tuple[int | None, ...]
"""Torch's axes as they are stored, outermost first; None is an axis of length 1 that stands for none of them."""

Shape = tuple[int, ...]

IMAGE: Order = (1, 2, 0)
"""Of (C, H, W): height, width, channels."""

SEQUENCE: Order = (None, 1, 0)
"""Of (C, T), for kernels that know images alone: height 1, steps, channels."""

BROADCAST_AXES = 3
"""Beside the batch, that TFLite Micro's kernels take where they broadcast; it ends the process at more."""


@dataclass(frozen=True)
class Layout:
    """Where a tensor's values stand; the batch is left out.

    Attributes:
        sizes: the stored axes, outermost first.
        axes: for each of torch's axes the places in `sizes` that make it up, outermost first. An axis of length 1 may
            have none; a stored axis of length 1 may belong to none.
    """

    sizes: Shape
    axes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, shape: Shape, order: Order | None = None) -> "Layout":
        """A tensor whose axes are stored whole: in an order, or as torch has them."""
        order = tuple(range(len(shape))) if order is None else order
        sizes = tuple(1 if axis is None else shape[axis] for axis in order)
        return cls(sizes, tuple((order.index(axis),) if axis in order else () for axis in range(len(shape))))

    @property
    def shape(self) -> Shape:
        """As torch has it."""
        return tuple(prod(self.sizes[i] for i in places) for places in self.axes)

    @property
    def memory(self) -> tuple[tuple[int, int, int], ...]:
        """(axis, step along it, length) from the outermost inwards; equal where the bytes stand in one order."""
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
        """place -> (axis, how many of the axis's positions one step there is)."""
        steps: dict[int, tuple[int, int]] = {}
        for axis, places in enumerate(self.axes):
            step = 1
            for place in reversed(places):
                steps[place] = (axis, step)
                step *= self.sizes[place]
        return steps

    def transposed(self, order: tuple[int, ...]) -> "Layout":
        """Axis k is what was axis order[k]."""
        return Layout(self.sizes, tuple(self.axes[axis] for axis in order))

    def reshaped(self, shape: Shape) -> "Layout | None":
        """The same bytes under another shape of torch's; None where they would have to move first."""
        pieces = self._pieces()
        lengths = [prod(self.sizes[place] for place in piece) for piece in pieces]
        cuts: list[list[int]] = [[] for _ in pieces]  # the lengths that each piece falls into, outermost first
        axes: list[list[tuple[int, int]]] = []  # (piece, cut)
        at = 0
        for size in shape:
            axes.append([])
            while size > 1:
                length = min(size, lengths[at])
                if size % length or lengths[at] % length:
                    return None
                axes[-1].append((at, len(cuts[at])))
                cuts[at].append(length)
                size, lengths[at] = size // length, lengths[at] // length
                at += lengths[at] == 1
        return self._cut(pieces, cuts, axes)

    def _pieces(self) -> list[list[int]]:
        """Stored axes that follow one another both in memory and in torch's order, as far as they do."""
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
        first = {piece[0]: i for i, piece in enumerate(pieces)}
        rest = {place for piece in pieces for place in piece}
        sizes: list[int] = []
        places: dict[tuple[int, int], list[int]] = {}
        for place, length in enumerate(self.sizes):
            if place in first:
                i = first[place]
                for n, parts in enumerate(_kept(cuts[i], [self.sizes[p] for p in pieces[i]])):
                    places[i, n] = [len(sizes) + k for k in range(len(parts))]
                    sizes += parts
            elif place not in rest:
                sizes.append(length)
        return Layout(tuple(sizes), tuple(tuple(p for key in keys for p in places[key]) for keys in axes))

    def whole(self) -> Order | None:
        """The order in which the axes are stored; None where one of them is not stored in one piece.

        Axes of length 1 that stand nowhere take the places that belong to none. Those left over go outermost, but an
        image's channels, which go innermost.
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
        """(the leading axes, the last axis) where the last axis stands innermost, in whatever order of its own."""
        inner = [place for place in self.axes[-1] if self.sizes[place] > 1]
        start = min(inner, default=len(self.sizes))
        if any(self.sizes[place] > 1 and place not in inner for place in range(start, len(self.sizes))):
            return None
        leading = tuple(tuple(place for place in places if place < start) for places in self.axes[:-1])
        return Layout(self.sizes[:start], leading), Layout(
            self.sizes[start:], (tuple(place - start for place in inner),)
        )

    @property
    def folded(self) -> Shape:
        """The stored shape for kernels that work on rows; all axes but the last are one where there are many."""
        return self.sizes if len(self.sizes) <= 4 else (prod(self.sizes[:-1]), self.sizes[-1])

    def broadcast(self, shape: Shape) -> "Layout":
        """Of a tensor that numpy would broadcast to this one: length 1 where it has one, or no axis."""
        more = len(self.axes) - len(shape)
        axes = self.axes[more:]
        kept = {p for places, n, m in zip(axes, shape, self.shape[more:], strict=True) if n == m for p in places}
        return Layout(tuple(n if place in kept else 1 for place, n in enumerate(self.sizes)), axes)

    def beside(self, shapes: Sequence[Shape]) -> list[Shape]:
        """The stored shapes of this tensor and of those of `shapes` that numpy would broadcast to it.

        Neighbours that are alike are joined where there would be more axes than TFLite Micro broadcasts.
        """
        columns = list(zip(self.sizes, *(self.broadcast(shape).sizes for shape in shapes), strict=True))
        if len(columns) > BROADCAST_AXES:
            joined: list[tuple[int, ...]] = []
            for column in (column for column in columns if column[0] > 1):
                if joined and [n > 1 for n in joined[-1]] == [n > 1 for n in column]:
                    joined[-1] = tuple(a * b for a, b in zip(joined[-1], column, strict=True))
                else:
                    joined.append(column)
            columns = joined or columns[:1]
        return [tuple(row) for row in zip(*columns, strict=True)]

    def followed_by(self, length: int) -> "Layout":
        """With one more axis, innermost."""
        return Layout((*self.sizes, length), (*self.axes, (len(self.sizes),)))

    def arranged(self, values: Array) -> Array:
        """An array of torch's shape as it is stored, of shape `sizes`."""
        places = [place for axis in self.axes for place in axis]
        free = [place for place in range(len(self.sizes)) if place not in places]
        split = values.reshape([self.sizes[place] for place in places] + [1] * len(free))
        return np.ascontiguousarray(split.transpose(np.argsort(places + free)))


def _kept(cuts: list[int], lengths: list[int]) -> list[list[int]]:
    """What each cut of a piece falls into where the piece is stored as axes of `lengths`; itself if they don't fit."""
    steps = sorted({int(prod(parts[i:])) for parts in (cuts, lengths) for i in range(len(parts) + 1)})
    if any(b % a for a, b in pairwise(steps)):
        return [[cut] for cut in cuts]
    found: list[list[int]] = []
    for i in range(len(cuts)):
        low, high = prod(cuts[i + 1 :]), prod(cuts[i:])
        found.append([b // a for a, b in pairwise(steps) if low <= a < high][::-1])
    return found


def transposition(source: Layout, stored: Shape, target: Layout) -> tuple[Shape, tuple[int, ...], Shape] | None:
    """(shape before, permutation, shape after) of the one transposition between two layouts of a tensor.

    `stored` is the source's shape in the file, which may join what its layout splits; it is kept where it will do.
    None where the two split an axis at places that don't fit each other: then go by way of torch's own order.
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
    direct = len(stored) == len(target.sizes) <= 4  # with the batch 5, the most that TFLite Micro transposes
    direct &= [n for n in stored if n > 1] == [lengths[key] for key in before]
    if direct and [n for n in target.sizes if n > 1] == [lengths[key] for key in after]:
        ones = [place for place, n in enumerate(stored) if n == 1]
        place = dict(zip(before, (place for place, n in enumerate(stored) if n > 1), strict=True))
        keys = iter(after)
        return stored, tuple(ones.pop(0) if n == 1 else place[next(keys)] for n in target.sizes), target.sizes
    runs: list[list[tuple[int, int]]] = []  # what stays together on the way
    for key in before:
        if runs and after.index(key) == after.index(runs[-1][-1]) + 1:
            runs[-1].append(key)
        else:
            runs.append([key])
    shape = tuple(prod(lengths[key] for key in run) for run in runs)
    order = tuple(int(i) for i in np.argsort([after.index(run[0]) for run in runs]))
    return shape, order, tuple(shape[i] for i in order)
