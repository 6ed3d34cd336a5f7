"""In which orders each tensor stands in a TFLite file, and which of them suits several tensors best."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from edgekd.formats.layout import Layout, Order, Shape
from edgekd.graph.structure import Array

MOST_AXES = 4
"""Beside the batch, that TFLite Micro's SLICE and TRANSPOSE take."""


@dataclass(frozen=True)
class Form:
    """A tensor of the file that holds a tensor of the graph.

    Attributes:
        shape: in the file, without the batch; it may join axes that `layout` splits.
        made: the tensor that an operator made, where `index` is a reshape of it; -1 for itself.
    """

    index: int
    shape: Shape
    layout: Layout
    made: int = -1

    @property
    def source(self) -> int:
        """What is to be reshaped into further forms.

        Never a reshape itself: without a delegate, LiteRT lets an operator write over a reshape of a reshape although
        another one has yet to read the first.
        """
        return self.index if self.made < 0 else self.made


class Memory:
    """The forms of each tensor of a graph, the first one first, and the values of those that stand in the file."""

    def __init__(self) -> None:
        self.forms: dict[str, list[Form]] = {}
        self.values: dict[str, Array] = {}

    def orders(self, tensor: str) -> list[Order]:
        """The orders in which its axes stand whole; without the axes that are none where kernels take no more."""
        whole = [order for form in self.forms.get(tensor, []) if (order := form.layout.whole()) is not None]
        return [order if len(order) <= MOST_AXES else tuple(a for a in order if a is not None) for order in whole]

    def in_order(self, tensor: str, want: Layout) -> list[Form]:
        """The forms whose bytes stand as `want` has them."""
        return [form for form in self.forms[tensor] if form.layout.memory == want.memory]

    def nearest(self, tensors: Sequence[str]) -> Form | None:
        """The form, of one of these tensors of one shape, in whose layout the fewest of them don't stand yet."""

        def moved(form: Form) -> int:
            return sum(not self.in_order(name, form.layout) for name in tensors if name not in self.values)

        return min((form for name in tensors for form in self.forms.get(name, [])), key=moved, default=None)

    def common(self, shapes: Sequence[tuple[str, Shape]]) -> Order:
        """The order for which the fewest values of these tensors have to move; torch's own if none is better.

        Constants are written in any order, and tensors of fewer axes follow those of more.
        """
        rank = max(len(shape) for _, shape in shapes)
        moving = [(name, shape) for name, shape in shapes if len(shape) == rank and name not in self.values]
        largest_first = sorted(moving, key=lambda pair: -prod(pair[1]))
        orders = dict.fromkeys(order for name, _ in largest_first for order in self.orders(name))

        def moved(order: Order) -> int:
            return sum(prod(shape) for name, shape in moving if not self.in_order(name, Layout.of(shape, order)))

        return min(orders, key=moved, default=tuple(range(rank)))


def aligned(order: Order, rank: int) -> Order:
    """The order of a tensor whose axes are the last ones of those that `order` is about, as numpy broadcasts them."""
    more = sum(axis is not None for axis in order) - rank
    return tuple(None if axis is None or axis < more else axis - more for axis in order)
