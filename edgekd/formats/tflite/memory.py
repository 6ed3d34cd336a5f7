"""Records in which layouts each tensor is stored in a TFLite file, and chooses the best order for several tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from edgekd.formats.layout import Layout, Order, Shape
from edgekd.graph.structure import Array

MOST_AXES = 4
"""The most axes beside the batch that TFLite Micro's SLICE and TRANSPOSE take."""


@dataclass(frozen=True)
class Form:
    """A tensor of the file that holds a tensor of the graph.

    Attributes:
        index: of the tensor in the file.
        shape: of the tensor in the file, without the batch; it may join axes that `layout` splits.
        origin: the index of the tensor that an operator wrote, where `index` is a reshape of it; else -1.
    """

    index: int
    shape: Shape
    layout: Layout
    origin: int = -1

    @property
    def source(self) -> int:
        """The index of the tensor from which further forms are reshaped.

        It is never a reshape itself: without a delegate, LiteRT lets an operator overwrite a reshape of a reshape while
        another operator has yet to read the first.
        """
        return self.index if self.origin < 0 else self.origin


class Memory:
    """The forms of each tensor of a graph, in order of creation, and the values of its constants."""

    def __init__(self) -> None:
        self.forms: dict[str, list[Form]] = {}
        self.values: dict[str, Array] = {}

    def orders(self, tensor: str) -> list[Order]:
        """The orders in which a tensor is stored with no axis split, without the extra axes if there are too many."""
        orders = [order for form in self.forms.get(tensor, []) if (order := form.layout.order()) is not None]
        return [order if len(order) <= MOST_AXES else tuple(a for a in order if a is not None) for order in orders]

    def in_order(self, tensor: str, layout: Layout) -> list[Form]:
        """The forms of a tensor whose bytes are in the order of `layout`."""
        return [form for form in self.forms[tensor] if form.layout.memory == layout.memory]

    def nearest(self, tensors: Sequence[str]) -> Form | None:
        """The form of one of these tensors, which have one shape, whose layout most of them have."""

        def moves(form: Form) -> int:
            return sum(not self.in_order(name, form.layout) for name in tensors if name not in self.values)

        return min((form for name in tensors for form in self.forms.get(name, [])), key=moves, default=None)

    def common(self, shapes: Sequence[tuple[str, Shape]]) -> Order:
        """The order for which the fewest values of these tensors have to move, by default torch's.

        Constants can be written in any order, and tensors with fewer axes follow those with more.
        """
        rank = max(len(shape) for _, shape in shapes)
        movable = [(name, shape) for name, shape in shapes if len(shape) == rank and name not in self.values]
        largest_first = sorted(movable, key=lambda pair: -prod(pair[1]))
        orders = dict.fromkeys(order for name, _ in largest_first for order in self.orders(name))

        def moved_values(order: Order) -> int:
            return sum(prod(shape) for name, shape in movable if not self.in_order(name, Layout.of(shape, order)))

        return min(orders, key=moved_values, default=tuple(range(rank)))


def align_order(order: Order, rank: int) -> Order:
    """The order of a tensor of `rank` axes, which numpy would broadcast to one in the order `order`."""
    leading = sum(axis is not None for axis in order) - rank
    return tuple(None if axis is None or axis < leading else axis - leading for axis in order)
