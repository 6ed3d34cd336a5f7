"""Write operators that move values; a transpose, a reshape or a slice of contiguous values is a view without a call."""

from dataclasses import replace
from math import prod

import numpy as np

from edgekd.formats.c.functions import Kernel
from edgekd.formats.c.loops import contiguous_strides
from edgekd.formats.c.source import CSource, View, Writer
from edgekd.formats.c.unary import write_table
from edgekd.formats.layout import Layout
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.ops import Concat, Constant, Pad, Requantize, Reshape, Slice, Take, Transpose
from edgekd.graph.structure import Operator


def _write_pad(source: CSource, op: Pad) -> None:
    """Fill the output with the padding's code, then copy the input into it."""
    view, output, order = _read_and_declare(source, op)
    code = int(quantize(np.array(op.value), source.graph.quantization(op.output)))
    source.call(Kernel("fill", {"COUNT": output.buffer.size, "CODE": code}), [], output)
    target_strides = contiguous_strides(output.layout.sizes)
    start = sum(op.amounts[axis][0] * stride for axis, stride in zip(order, target_strides, strict=True))
    sizes = view.layout.sizes
    source.copy(view, output, sizes, contiguous_strides(sizes), target_strides, target_offset=start)


def _write_slice(source: CSource, op: Slice) -> None:
    view, order = _read_unsplit(source, op.inputs[0])
    sizes = [len(range(*op.ranges[axis])) for axis in order]
    strides = contiguous_strides(view.layout.sizes)
    start = sum(op.ranges[axis][0] * stride for axis, stride in zip(order, strides, strict=True))
    slice_strides = [op.ranges[axis][2] * stride for axis, stride in zip(order, strides, strict=True)]
    layout = Layout.of(source.shape(op.output), order)
    output_strides = contiguous_strides(sizes)
    if all(n == 1 or a == b for n, a, b in zip(sizes, slice_strides, output_strides, strict=True)):
        source.views[op.output] = [View(view.buffer, layout, view.offset + start)]
        return
    output = source.declare(op.output, layout)
    source.copy(view, output, sizes, slice_strides, output_strides, source_offset=start)


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
    target_strides, start = contiguous_strides(output.layout.sizes), 0
    for name in op.inputs:
        view = source.read(name, order)
        sizes = view.layout.sizes
        source.copy(view, output, sizes, contiguous_strides(sizes), target_strides, target_offset=start)
        start += source.shape(name)[op.axis] * target_strides[order.index(op.axis)]


def _write_take(source: CSource, op: Take) -> None:
    view, order = _read_unsplit(source, op.inputs[0])
    axes = [axis for axis, positions in enumerate(op.positions) if positions is not None]
    shape = list(source.shape(op.inputs[0]))
    for axis in axes:
        positions, length, place = op.positions[axis] or (), shape[axis], order.index(axis)
        shape[axis] = len(positions)
        layout = Layout.of(tuple(shape), order)
        target = source.declare(op.output, layout) if axis == axes[-1] else source.allocate(layout, view.buffer.word)
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


def _read_unsplit(source: CSource, name: str) -> tuple[View, tuple[int, ...]]:
    """Return a view of a tensor in a layout that splits no axis, and the order of its axes."""
    order = tuple(axis for axis in source.order(name) if axis is not None)
    return source.read(name, order), order


def _read_and_declare(source: CSource, op: Operator) -> tuple[View, View, tuple[int, ...]]:
    """Return the input's view, a view of the output in the same axis order, and that order."""
    view, order = _read_unsplit(source, op.inputs[0])
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
