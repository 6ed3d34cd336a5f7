"""Collect the calls, constants and tensor views of a C file from the writers of operators."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from edgekd.formats.c.arena import Buffer, Call, InPlace, Region
from edgekd.formats.c.constants import Constants
from edgekd.formats.c.functions import Constant, Functions, Kernel
from edgekd.formats.c.loops import LOOPS, contiguous_strides, merge_axes
from edgekd.formats.c.rounding import Channels, Rounding
from edgekd.formats.layout import IMAGE, Layout, Order, transposition
from edgekd.graph import cost
from edgekd.graph.structure import Array, Graph, Operator, Quantization

Writer = Callable[["CSource", Any], None]


@dataclass(frozen=True)
class View:
    """A tensor of the graph, or a part of one, in a buffer with a layout.

    Attributes:
        offset: start in the buffer, in elements.
    """

    buffer: Buffer
    layout: Layout
    offset: int = 0

    @property
    def region(self) -> Region:
        """Return the region that a call which reads the tensor takes as its argument."""
        return Region(self.buffer, self.offset, "const int32_t *" if self.buffer.word == 4 else "")

    @property
    def fills_buffer(self) -> bool:
        """Return whether the view is all of an arena buffer, so that an operator may overwrite it."""
        return not self.buffer.constant and prod(self.layout.sizes) * self.buffer.word == self.buffer.size


class CSource:
    """The constants, functions and calls of one C file.

    Args:
        orders: axis order by input; by default images are channels last and other inputs have torch's order.

    Attributes:
        moved_bytes: number of bytes that calls copy into another layout.
        views: views of each tensor in the arena, the first in the layout in which its operator writes it.
        values: value of each constant tensor, in torch's order.
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
        """Add an operator's calls with its writer."""
        self.layer = f"{op.name} ({cost.describe(op)})"
        writer(self, op)

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return the tensor's shape in torch's order, without the batch."""
        return self.graph.tensors[tensor].shape

    def declare(self, tensor: str, layout: Layout) -> View:
        """Allocate a tensor of the graph in the arena and return its view."""
        view = self.allocate(layout, 4 if self.graph.tensors[tensor].kind == "index" else 1)
        self.views[tensor] = [view]
        return view

    def allocate(self, layout: Layout, word: int = 1) -> View:
        """Allocate a buffer in the arena that is no tensor of the graph and return its view."""
        return View(Buffer(prod(layout.sizes) * word, word=word), layout)

    def order(self, tensor: str) -> Order:
        """Return the axis order of a tensor's first view that splits no axis, or torch's order if there is none."""
        unsplit = (view.layout.order() for view in self.views.get(tensor, []))
        orders = (tuple(axis for axis in order if axis is not None) for order in unsplit if order is not None)
        return next(orders, tuple(range(len(self.shape(tensor)))))

    def first_view(self, tensor: str) -> View:
        """Return a tensor's view in the layout in which its operator writes it."""
        return self.views[tensor][0] if tensor in self.views else self.read(tensor)

    def common_order(self, tensors: Sequence[str]) -> Order:
        """Return the axis order of the largest of some tensors; constants count only if all of them are."""
        activations = [name for name in tensors if name not in self.values] or list(tensors)
        return self.order(max(activations, key=lambda name: prod(self.shape(name))))

    def read(self, tensor: str, order: Order | None = None) -> View:
        """Return a view of a tensor in an axis order, by default its own."""
        return self.read_as(tensor, Layout.of(self.shape(tensor), self.order(tensor) if order is None else order))

    def read_as(self, tensor: str, layout: Layout) -> View:
        """Return a view of a tensor in a layout; copy the tensor if no view has it, once for all readers."""
        if tensor in self.values:
            codes = layout.arrange(self.values[tensor])
            return View(Buffer(codes.size, self.constants.array("int8_t", codes)), layout)
        for view in self.views[tensor]:
            if view.layout.memory == layout.memory:
                return replace(view, layout=layout)
        source = self.views[tensor][0]
        transpose = transposition(source.layout, source.layout.sizes, layout)
        if transpose is None:  # the two layouts split an axis at positions that cross
            source = self.read_as(tensor, Layout.of(layout.shape))
            transpose = transposition(source.layout, source.layout.sizes, layout)
            assert transpose is not None
        target = self.allocate(layout, source.buffer.word)
        before, permutation, after = transpose
        strides = contiguous_strides(before)
        self.copy(source, target, after, [strides[axis] for axis in permutation], contiguous_strides(after))
        self.moved_bytes += target.buffer.size
        self.views[tensor].append(target)
        return target

    def copy(
        self,
        source: View,
        target: View,
        sizes: Sequence[int],
        source_strides: Sequence[int],
        target_strides: Sequence[int],
        source_offset: int = 0,
        target_offset: int = 0,
    ) -> None:
        """Add the calls that copy a block of values, with a stride for each axis in the source and in the target."""
        axes = merge_axes(sizes, source_strides, target_strides)
        if len(axes) > LOOPS:  # one call for each position of the outermost axis
            (length, *outer), rest = axes[0], axes[1:]
            sizes, source_strides, target_strides = zip(*rest, strict=True)
            for i in range(length):
                starts = source_offset + i * outer[0], target_offset + i * outer[1]
                self.copy(source, target, sizes, source_strides, target_strides, *starts)
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
        """Return a view of a tensor whose last axis is innermost.

        Args:
            any_order: whether the values along the last axis may be permuted, as those of a flattened image are.

        Returns:
            the view, the layout of the leading axes, and for each position of the last axis in memory torch's index.
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
        """Return the name of the array of constants from each channel's sums to codes."""
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
        """Add the call `kernel(inputs..., output, constants...)`.

        Args:
            output: region that the call writes; by default it starts at the target's start.
            in_place: whether the output may overwrite any input of its size, value by value.
            overwriting: the call that overwrites the first input.
            checked: whether the function returns a status, which is not 0 for an invalid input.
        """
        output_region = output or Region(target.buffer, target.offset)
        arguments: tuple[Region | str, ...] = (*(view.region for view in inputs), output_region, *constants)
        overwrites: dict[Buffer, InPlace] = {}
        if in_place:
            buffers = [view.buffer for view in inputs]
            candidates = [view for view in inputs if view.fills_buffer and view.buffer.size == target.buffer.size]
            overwrites = {v.buffer: InPlace(kernel, arguments) for v in candidates if buffers.count(v.buffer) == 1}
        if overwriting is not None and inputs[0].fills_buffer:
            overwrites[inputs[0].buffer] = overwriting
        reads = tuple(view.buffer for view in inputs if not view.buffer.constant)
        self.calls.append(Call(kernel, arguments, reads, target.buffer, overwrites, self.layer, checked))

    def scale(self, ratio: Any, output: Quantization, low: int, high: int) -> str:
        """Return the name of the function from an integer to a code: a float `ratio` or a (multiplier, exponent)."""
        constants: dict[str, Constant] = {"ZERO_POINT": output.zero_point, "LOWEST": low, "HIGHEST": high}
        if isinstance(ratio, np.floating):
            return self.functions.instance(Kernel("scale_once", {**constants, "FACTOR": ratio}))
        multiplier, exponent = ratio
        constants |= {"MULTIPLIER": int(multiplier), "EXPONENT": int(exponent)}
        return self.functions.instance(Kernel("scale_twice", constants))

    def add_outputs(self) -> None:
        """Give each output a buffer of its own, images channels last; call this after all operators."""
        self.layer = "output"
        for name in self.graph.outputs:
            order = IMAGE if len(self.shape(name)) == 3 else self.order(name)
            view = self.read(name, order)
            others = {other.buffer for other in (*self.inputs, *self.outputs)}
            if not view.fills_buffer or view.buffer in others:
                source, view = view, self.allocate(view.layout)
                strides = contiguous_strides(view.layout.sizes)
                self.copy(source, view, view.layout.sizes, strides, strides)
            self.outputs.append(view)
