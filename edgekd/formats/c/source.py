"""What the writers of operators call: a C file in which the graph's tensors stand in one layout or several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from edgekd.formats.c.arena import Buffer, Call, InPlace, Region
from edgekd.formats.c.constants import Constants
from edgekd.formats.c.functions import Constant, Functions, Kernel
from edgekd.formats.c.loops import LOOPS, joined, steps
from edgekd.formats.c.rounding import Channels, Rounding
from edgekd.formats.layout import IMAGE, Layout, Order, transposition
from edgekd.graph import cost
from edgekd.graph.structure import Array, Graph, Operator, Quantization

Writer = Callable[["CSource", Any], None]


@dataclass(frozen=True)
class View:
    """A tensor of the graph, or a part of it, as it stands in memory.

    Attributes:
        offset: in elements.
    """

    buffer: Buffer
    layout: Layout
    offset: int = 0

    @property
    def region(self) -> Region:
        """As an argument of a call that reads it."""
        return Region(self.buffer, self.offset, "const int32_t *" if self.buffer.word == 4 else "")

    @property
    def whole(self) -> bool:
        """Is there nothing else in its buffer, which an operator may overwrite?"""
        return not self.buffer.constant and prod(self.layout.sizes) * self.buffer.word == self.buffer.size


class CSource:
    """Collects constants, functions and calls of one file.

    Args:
        orders: of inputs, where they shall not stand as they do by default: images channels last, others as in torch.

    Attributes:
        moved_bytes: those that were brought into another layout on the way.
    """

    def __init__(self, graph: Graph, rounding: Rounding, orders: Mapping[str, Order] | None = None) -> None:
        self.graph, self.rounding = graph, rounding
        self.functions = Functions(rounding.name)
        self.calls: list[Call] = []
        self.constants = Constants()
        self.moved_bytes = 0
        self.views: dict[str, list[View]] = {}
        self.values: dict[str, Array] = {}
        self.layer = ""
        for name in graph.inputs:
            shape = graph.tensors[name].shape
            order = (orders or {}).get(name, IMAGE if len(shape) == 3 else None)
            self.declare(name, Layout.of(shape, order))
        self.inputs = [self.views[name][0] for name in graph.inputs]
        self.outputs: list[View] = []

    def write(self, op: Operator, writer: Writer) -> None:
        """Let an operator's writer write it."""
        self.layer = f"{op.name} ({cost.describe(op)})"
        writer(self, op)

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return the tensor's shape in torch's order, without the batch."""
        return self.graph.tensors[tensor].shape

    def declare(self, tensor: str, layout: Layout) -> View:
        """A new tensor in the arena."""
        view = self.room(layout, 4 if self.graph.tensors[tensor].kind == "index" else 1)
        self.views[tensor] = [view]
        return view

    def room(self, layout: Layout, word: int = 1) -> View:
        """Room in the arena for what is no tensor of the graph."""
        return View(Buffer(prod(layout.sizes) * word, word=word), layout)

    def order(self, tensor: str) -> Order:
        """The order in which a tensor's axes stand whole, or else torch's."""
        whole = (view.layout.order() for view in self.views.get(tensor, []))
        orders = (tuple(axis for axis in order if axis is not None) for order in whole if order is not None)
        return next(orders, tuple(range(len(self.shape(tensor)))))

    def standing(self, tensor: str) -> View:
        """A tensor as it was made."""
        return self.views[tensor][0] if tensor in self.views else self.read(tensor)

    def common_order(self, tensors: Sequence[str]) -> Order:
        """The order of the largest of some tensors that is not stored in the file."""
        moving = [name for name in tensors if name not in self.values] or list(tensors)
        return self.order(max(moving, key=lambda name: prod(self.shape(name))))

    def read(self, tensor: str, order: Order | None = None) -> View:
        """A tensor in an order of its axes, by default the one that it has."""
        return self.read_as(tensor, Layout.of(self.shape(tensor), self.order(tensor) if order is None else order))

    def read_as(self, tensor: str, layout: Layout) -> View:
        """A tensor in a layout; what stands otherwise is moved, once for all who ask for it."""
        if tensor in self.values:
            codes = layout.arrange(self.values[tensor])
            return View(Buffer(codes.size, self.constants.array("int8_t", codes)), layout)
        for view in self.views[tensor]:
            if view.layout.memory == layout.memory:
                return replace(view, layout=layout)
        source = self.views[tensor][0]
        way = transposition(source.layout, source.layout.sizes, layout)
        if way is None:  # their axes are split at places that don't fit each other
            source = self.read_as(tensor, Layout.of(layout.shape))
            way = transposition(source.layout, source.layout.sizes, layout)
            assert way is not None
        target = self.room(layout, source.buffer.word)
        before, permutation, after = way
        inner = steps(before)
        self.copy(source, target, after, [inner[axis] for axis in permutation], steps(after))
        self.moved_bytes += target.buffer.size
        self.views[tensor].append(target)
        return target

    def copy(
        self,
        source: View,
        target: View,
        sizes: Sequence[int],
        source_steps: Sequence[int],
        target_steps: Sequence[int],
        source_offset: int = 0,
        target_offset: int = 0,
    ) -> None:
        """A block of values from one place to another, with steps along each of its axes."""
        axes = joined(sizes, source_steps, target_steps)
        if len(axes) > LOOPS:  # the outermost axis is written out
            (length, *outer), rest = axes[0], axes[1:]
            sizes, source_steps, target_steps = zip(*rest, strict=True)
            for i in range(length):
                starts = source_offset + i * outer[0], target_offset + i * outer[1]
                self.copy(source, target, sizes, source_steps, target_steps, *starts)
            return
        constants = {
            f"{name}_{i}": axis[part] for i, axis in enumerate(axes) for part, name in enumerate(("SIZE", "FROM", "TO"))
        }
        element = "int8_t" if source.buffer.word == 1 else "int32_t"
        kernel = Kernel("copy", constants, {"element_t": element})
        to = Region(target.buffer, target.offset + target_offset, "int32_t *" if source.buffer.word == 4 else "")
        start = replace(source, offset=source.offset + source_offset)
        self.call(kernel, [start], target, output=to)

    def rows(self, tensor: str, any_order: bool = False) -> tuple[View, Layout, Array]:
        """A tensor with its last axis innermost.

        Args:
            any_order: the last axis may stand in an order of its own, as that of a flattened image does.

        Returns:
            the view; the layout of the leading axes; the order of the last one: position in memory -> torch's.
        """
        for view in self.views.get(tensor, []):
            if (parts := view.layout.rows()) is not None:
                order = parts[1].arrange(np.arange(*parts[1].shape)).ravel()
                if any_order or (order == np.arange(len(order))).all():
                    return view, parts[0], order
        last = len(self.shape(tensor)) - 1
        view = self.read(tensor, (*(axis for axis in self.order(tensor) if axis != last), last))
        parts = view.layout.rows()
        assert parts is not None
        return view, parts[0], np.arange(self.shape(tensor)[last])

    def channels(self, channels: Channels) -> str:
        """The name of the constants that take sums of each channel to codes."""
        return self.constants.structures("channel_t", channels.rows, channels.words)

    def call(
        self,
        kernel: Kernel,
        inputs: Sequence[View],
        target: View,
        constants: Sequence[str] = (),
        *,
        output: Region | None = None,
        in_place: bool = False,
        overwriting: InPlace | None = None,
        checked: bool = False,
    ) -> None:
        """Call `kernel(inputs..., output, constants...)`.

        Args:
            output: where in the target it starts.
            in_place: the output may overwrite any input of its size, value by value.
            overwriting: the call that overwrites the first input.
        """
        written = output or Region(target.buffer, target.offset)
        arguments: tuple[Region | str, ...] = (*(view.region for view in inputs), written, *constants)
        overwrites: dict[Buffer, InPlace] = {}
        if in_place:
            buffers = [view.buffer for view in inputs]
            same = [view for view in inputs if view.whole and view.buffer.size == target.buffer.size]
            overwrites = {v.buffer: InPlace(kernel, arguments) for v in same if buffers.count(v.buffer) == 1}
        if overwriting is not None and inputs[0].whole:
            overwrites[inputs[0].buffer] = overwriting
        reads = tuple(view.buffer for view in inputs if not view.buffer.constant)
        self.calls.append(Call(kernel, arguments, reads, target.buffer, overwrites, self.layer, checked))

    def scale(self, ratio: Any, output: Quantization, low: int, high: int) -> str:
        """The name of the function that takes a whole number to a code, by a ratio as the rounding has it."""
        constants: dict[str, Constant] = {"ZERO_POINT": output.zero_point, "LOWEST": low, "HIGHEST": high}
        if isinstance(ratio, np.floating):
            return self.functions.instance(Kernel("scale_once", {**constants, "FACTOR": ratio}))
        multiplier, exponent = ratio
        constants |= {"MULTIPLIER": int(multiplier), "EXPONENT": int(exponent)}
        return self.functions.instance(Kernel("scale_twice", constants))

    def give(self) -> None:
        """See to it that each output has bytes of its own, images channels last: the last thing to do."""
        self.layer = "output"
        for name in self.graph.outputs:
            order = IMAGE if len(self.shape(name)) == 3 else self.order(name)
            view = self.read(name, order)
            others = {other.buffer for other in (*self.inputs, *self.outputs)}
            if not view.whole or view.buffer in others:
                source, view = view, self.room(view.layout)
                self.copy(source, view, view.layout.sizes, steps(view.layout.sizes), steps(view.layout.sizes))
            self.outputs.append(view)
