"""Operators that move values. A transpose, a reshape or a slice of whole rows writes nothing: it is another view."""

from dataclasses import replace
from math import prod

import numpy as np

from edgekd.formats.c.functions import Kernel
from edgekd.formats.c.loops import steps
from edgekd.formats.c.source import CSource, View, Writer
from edgekd.formats.c.unary import write_table
from edgekd.formats.layout import Layout
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.ops import Concat, Constant, Pad, Requantize, Reshape, Slice, Take, Transpose
from edgekd.graph.structure import Operator


def _write_pad(source: CSource, op: Pad) -> None:
    """The whole output is filled, then the input is copied into its middle."""
    view, output, order = _one(source, op)
    code = int(quantize(np.array(op.value), source.graph.quantization(op.output)))
    source.call(Kernel("fill", {"COUNT": output.buffer.size, "CODE": code}), [], output)
    target_steps = steps(output.layout.sizes)
    start = sum(op.amounts[axis][0] * step for axis, step in zip(order, target_steps, strict=True))
    source.copy(view, output, view.layout.sizes, steps(view.layout.sizes), target_steps, target_offset=start)


def _write_slice(source: CSource, op: Slice) -> None:
    view, order = _whole(source, op.inputs[0])
    sizes = [len(range(*op.ranges[axis])) for axis in order]
    each = steps(view.layout.sizes)
    start = sum(op.ranges[axis][0] * step for axis, step in zip(order, each, strict=True))
    by = [op.ranges[axis][2] * step for axis, step in zip(order, each, strict=True)]
    layout = Layout.of(source.shape(op.output), order)
    if all(n == 1 or step == other for n, step, other in zip(sizes, by, steps(sizes), strict=True)):
        source.views[op.output] = [View(view.buffer, layout, view.offset + start)]
        return
    output = source.declare(op.output, layout)
    source.copy(view, output, sizes, by, steps(sizes), source_offset=start)


def _write_reshape(source: CSource, op: Reshape) -> None:
    name, shape = op.inputs[0], source.shape(op.output)
    if name in source.values:
        source.values[op.output] = source.values[name].reshape(shape)
        return
    if all(view.layout.reshape(shape) is None for view in source.views[name]):
        source.read(name, tuple(range(len(source.shape(name)))))
    reshaped = [(view, view.layout.reshape(shape)) for view in source.views[name]]
    source.views[op.output] = [replace(view, layout=layout) for view, layout in reshaped if layout is not None]


def _write_transpose(source: CSource, op: Transpose) -> None:
    name = op.inputs[0]
    if name in source.values:
        source.values[op.output] = source.values[name].transpose(op.order)
        return
    views = source.views[name]
    source.views[op.output] = [replace(view, layout=view.layout.transpose(op.order)) for view in views]


def _write_concat(source: CSource, op: Concat) -> None:
    order = source.common_order(op.inputs)
    output = source.declare(op.output, Layout.of(source.shape(op.output), order))
    target_steps, start = steps(output.layout.sizes), 0
    for name in op.inputs:
        view = source.read(name, order)
        source.copy(view, output, view.layout.sizes, steps(view.layout.sizes), target_steps, target_offset=start)
        start += source.shape(name)[op.axis] * target_steps[order.index(op.axis)]


def _write_take(source: CSource, op: Take) -> None:
    view, order = _whole(source, op.inputs[0])
    axes = [axis for axis, positions in enumerate(op.positions) if positions is not None]
    shape = list(source.shape(op.inputs[0]))
    for axis in axes:
        positions, length, place = op.positions[axis] or (), shape[axis], order.index(axis)
        shape[axis] = len(positions)
        layout = Layout.of(tuple(shape), order)
        target = source.declare(op.output, layout) if axis == axes[-1] else source.room(layout, view.buffer.word)
        sizes = layout.sizes
        constants = {
            "OUTER": prod(sizes[:place]), "COUNT": len(positions), "LENGTH": length, "INNER": prod(sizes[place + 1 :])
        }  # fmt: skip
        element = "int8_t" if view.buffer.word == 1 else "int32_t"
        kernel = Kernel("take", constants, {"element_t": element})
        source.call(kernel, [view], target, [source.constants.array("int32_t", np.array(positions))])
        view = target
    if not axes:
        source.views[op.output] = [view]


def _write_constant(source: CSource, op: Constant) -> None:
    source.values[op.output] = op.value


def _whole(source: CSource, name: str) -> tuple[View, tuple[int, ...]]:
    """A tensor whose axes stand whole, and their order."""
    order = tuple(axis for axis in source.order(name) if axis is not None)
    return source.read(name, order), order


def _one(source: CSource, op: Operator) -> tuple[View, View, tuple[int, ...]]:
    """(input, output in its order, that order)."""
    view, order = _whole(source, op.inputs[0])
    return view, source.declare(op.output, Layout.of(source.shape(op.output), order)), order


WRITERS: dict[type[Operator], Writer] = {
    Pad: _write_pad,
    Slice: _write_slice,
    Reshape: _write_reshape,
    Transpose: _write_transpose,
    Concat: _write_concat,
    Take: _write_take,
    Constant: _write_constant,
    Requantize: write_table,
}
