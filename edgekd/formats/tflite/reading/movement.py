"""Gives the reader of files the readers of operators that move values without computing on them."""

from collections.abc import Sequence
from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import Axes, Code
from edgekd.formats.tflite.reading.network import Network, Reader
from edgekd.formats.tflite.reading.ranges import slice_ranges, strided_ranges
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.ops import Pad, Reshape, Slice, Take
from edgekd.graph.structure import Array

Shape = tuple[int, ...]
Range = tuple[int, int, int]


def _read_pad(net: Network, op: StoredOperator) -> None:
    source, amounts = net.input(op, 0), net.constant(op, 1, "amounts")
    net.check_same_scale(op, source, op.outputs[0])
    shape = net.shapes[source]
    if amounts.shape != (len(shape), 2) or amounts.min() < 0:
        raise damage_error(f"{op} pads {shape} by {amounts.tolist()}")
    net.output_shape(op, [n + int(sum(amount)) for n, amount in zip(shape, amounts, strict=True)])
    value, codes = 0.0, net.quantization(source)
    if op.code == Code.PADV2:
        stored = net.constant(op, 2, "a value")
        net.check_same_scale(op, source, op.inputs[2])
        value = float((dequantize(stored, codes) if codes else stored).ravel()[0])
    axes = net.axes(source)
    if any(amounts[axis].any() for axis in range(len(shape)) if axis not in axes):
        axes = net.file_axes(source)
    if amounts[0].any() and 0 not in axes:
        raise op.refusal("pads the batch", "a batch of 1")
    amounts_by_axis = tuple((0, 0) if axis is None else (int(amounts[axis][0]), int(amounts[axis][1])) for axis in axes)
    name = net.read(source, axes)
    net.emit(op, lambda n, out: Pad(n, (name,), out, amounts_by_axis, value), axes)


def _read_mirror_pad(net: Network, op: StoredOperator) -> None:
    source, amounts = net.input(op, 0), net.constant(op, 1, "amounts")
    shape = net.shapes[source]
    modes = {schema.MirrorPadMode.REFLECT: "reflect", schema.MirrorPadMode.SYMMETRIC: "symmetric"}
    mode = modes.get(op.options(schema.MirrorPadOptionsT).mode)
    if mode is None or amounts.shape != (len(shape), 2) or amounts.min() < 0:
        raise damage_error(f"{op} pads {shape} by {amounts.tolist()}")
    if any(max(amount) > n - (mode == "reflect") for amount, n in zip(amounts.tolist(), shape, strict=True)):
        raise damage_error(f"{op} reflects more than there is: {shape} by {amounts.tolist()}")
    positions: list[tuple[int, ...] | None] = [
        tuple(int(i) for i in np.pad(np.arange(n), tuple(amount), mode=mode)) if any(amount) else None  # type: ignore[call-overload]
        for amount, n in zip(amounts.tolist(), shape, strict=True)
    ]
    _emit_take(net, op, source, positions)


def _emit_take(net: Network, op: StoredOperator, source: int, positions: Sequence[tuple[int, ...] | None]) -> None:
    """Add a Take of positions along each of the file's axes; None takes all positions of an axis."""
    shape = net.shapes[source]
    net.check_same_scale(op, source, op.outputs[0])
    net.output_shape(op, [n if indices is None else len(indices) for n, indices in zip(shape, positions, strict=True)])
    axes = axes_including(net, source, [axis for axis, indices in enumerate(positions) if indices is not None])
    name, positions_by_axis = net.read(source, axes), tuple(None if axis is None else positions[axis] for axis in axes)
    net.emit(op, lambda n, out: Take(n, (name,), out, positions_by_axis), axes)


def axes_including(net: Network, source: int, needed_axes: Sequence[int]) -> Axes:
    """Return the axis order of a tensor's form, or all axes in the file's order if the form lacks a needed axis."""
    axes = net.axes(source)
    return axes if all(axis in axes for axis in needed_axes) else tuple(range(len(net.shapes[source])))


def _read_slice(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    ranges = slice_ranges(op, net.shapes[source], net.constant(op, 1, "a begin"), net.constant(op, 2, "a size"))
    emit_slice(net, op, source, ranges, [])


def _read_strided_slice(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    bounds = [net.constant(op, place, what) for place, what in ((1, "a begin"), (2, "an end"), (3, "strides"))]
    ranges, dropped_axes = strided_ranges(op, net.shapes[source], bounds, op.options(schema.StridedSliceOptionsT))
    emit_slice(net, op, source, ranges, dropped_axes)


def emit_slice(
    net: Network, op: StoredOperator, source: int, ranges: Sequence[Range], dropped_axes: Sequence[int], place: int = 0
) -> None:
    """Add a Slice, or a Take for negative steps, by a range for each of the file's axes.

    Args:
        net: the graph to add to.
        op: the operator in the file.
        source: the tensor to slice.
        ranges: the (begin, end, step) of each axis.
        dropped_axes: the axes, each with a range of one position, that the output's shape lacks.
        place: the place of the output among the operator's outputs.
    """
    shape = net.shapes[source]
    net.check_same_scale(op, source, op.outputs[place])
    lengths = [len(range(*r)) for r in ranges]
    net.output_shape(op, [n for axis, n in enumerate(lengths) if axis not in dropped_axes], place)
    sliced_axes = [axis for axis, r in enumerate(ranges) if r != (0, shape[axis], 1)]
    axes = axes_including(net, source, sliced_axes)
    name = net.read(source, axes)
    remaining_axes = [axis for axis in range(len(shape)) if axis not in dropped_axes]
    out = tuple(remaining_axes.index(axis) if axis in remaining_axes else None for axis in axes)
    if any(step < 0 for _, _, step in ranges):
        positions = tuple(None if axis not in sliced_axes else tuple(range(*ranges[axis])) for axis in axes)
        net.emit(op, lambda n, o: Take(n, (name,), o, positions), out, place=place)
        return
    ranges_by_axis = tuple((0, 1, 1) if axis is None else ranges[axis] for axis in axes)
    net.emit(op, lambda n, o: Slice(n, (name,), o, ranges_by_axis), out, place=place)


def _read_transpose(net: Network, op: StoredOperator) -> None:
    source, order = net.input(op, 0), [int(axis) for axis in net.constant(op, 1, "an order").ravel()]
    shape = net.shapes[source]
    if sorted(order) != list(range(len(shape))):
        raise damage_error(f"{op} has the order {order} for {len(shape)} axes")
    net.rename_axes(op, source, {axis: place for place, axis in enumerate(order)}, [shape[axis] for axis in order])


def _read_reshape(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    if source in net.rows:
        net.rows[op.outputs[0]] = net.rows[source]
        net.output_shape(op, _target(net, op, source))
        return
    shape, target = net.shapes[source], _target(net, op, source)
    net.check_same_scale(op, source, op.outputs[0])
    if [n for n in shape if n > 1] == [n for n in target if n > 1]:
        _rename_long_axes(net, op, source, target)
        return
    net.output_shape(op, target)
    origin = net.pending_reshapes.get(source, source)
    if origin in net.forms and net.shapes[origin]:
        net.pending_reshapes[op.outputs[0]] = origin
        return
    name = net.read_file_order(source)
    axes = net.file_axes(op.outputs[0])
    net.emit(op, lambda n, out: Reshape(n, (name,), out), axes)


def _target(net: Network, op: StoredOperator, source: int) -> Shape:
    """Return the new shape from the second input, the options, or else the shape that the file has for the output."""
    options = op.options(schema.ReshapeOptionsT)
    target = options.newShape
    if len(op.inputs) > 1 and op.inputs[1] >= 0:
        target = net.constant(op, 1, "a shape").ravel()
    elif target is None or not len(target):
        target = net.content.tensors[op.outputs[0]].shape
    shape, elements = [int(n) for n in target], prod(net.shapes[source])
    if shape.count(-1) == 1:
        rest = prod(n for n in shape if n != -1)
        if rest < 1 or elements % rest:
            raise damage_error(f"{op} makes {shape} of {net.shapes[source]}")
        shape[shape.index(-1)] = elements // rest
    if any(n < 1 for n in shape) or prod(shape) != elements:
        raise damage_error(f"{op} makes {shape} of {net.shapes[source]}")
    return tuple(shape)


def _rename_long_axes(net: Network, op: StoredOperator, source: int, target: Shape) -> None:
    """Read a reshape that only adds or drops axes of length 1 by renaming the axes of the graph's tensor."""
    shape = net.shapes[source]
    long, target_long = ([axis for axis, n in enumerate(s) if n > 1] for s in (shape, target))
    net.rename_axes(op, source, dict(zip(long, target_long, strict=True)), target)


def _read_squeeze(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    shape = net.shapes[source]
    squeeze_dims = op.options(schema.SqueezeOptionsT).squeezeDims
    axes = {axis_of(op, int(axis), len(shape)) for axis in (() if squeeze_dims is None else squeeze_dims)}
    dropped_axes = axes or {axis for axis, n in enumerate(shape) if n == 1}
    if any(shape[axis] != 1 for axis in dropped_axes):
        raise damage_error(f"{op} squeezes {shape} along {sorted(dropped_axes)}")
    _rename_long_axes(net, op, source, tuple(n for axis, n in enumerate(shape) if axis not in dropped_axes))


def _read_expand_dims(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    shape = net.shapes[source]
    axis = axis_of(op, int(net.constant(op, 1, "an axis").ravel()[0]), len(shape) + 1)
    _rename_long_axes(net, op, source, (*shape[:axis], 1, *shape[axis:]))


def _read_reverse(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    shape = net.shapes[source]
    axes = {axis_of(op, int(axis), len(shape)) for axis in net.constant(op, 1, "axes").ravel()}
    _emit_take(net, op, source, [tuple(range(n))[::-1] if axis in axes else None for axis, n in enumerate(shape)])


def axis_of(op: StoredOperator, axis: int, rank: int) -> int:
    """Return an axis, which may be negative to count from the end, as an axis from 0 on."""
    if not -rank <= axis < rank:
        raise damage_error(f"{op} works along axis {axis} of {rank}")
    return int(axis) % rank


def read_constant_gather(net: Network, op: StoredOperator, source: int, positions: Array, axis: int) -> None:
    """Read a GATHER by constant positions along an axis."""
    shape = net.shapes[source]
    axis = axis_of(op, axis, len(shape))
    if positions.ndim != 1 or positions.min() < 0 or positions.max() >= shape[axis]:
        raise op.refusal(f"takes positions {positions.shape} of {shape[axis]}", "a list of positions that are there")
    indices = tuple(int(i) for i in positions)
    _emit_take(net, op, source, [indices if a == axis else None for a in range(len(shape))])


READERS: dict[int, Reader] = {
    Code.PAD: _read_pad,
    Code.PADV2: _read_pad,
    Code.MIRROR_PAD: _read_mirror_pad,
    Code.SLICE: _read_slice,
    Code.STRIDED_SLICE: _read_strided_slice,
    Code.TRANSPOSE: _read_transpose,
    Code.RESHAPE: _read_reshape,
    Code.SQUEEZE: _read_squeeze,
    Code.EXPAND_DIMS: _read_expand_dims,
    Code.REVERSE_V2: _read_reverse,
}
