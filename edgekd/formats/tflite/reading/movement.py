"""Operators that move values."""

from collections.abc import Sequence
from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damaged
from edgekd.formats.tflite.reading.network import Axes, Code, Network, Reader
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
        raise damaged(f"{op} pads {shape} by {amounts.tolist()}")
    net.output_shape(op, [n + int(sum(by)) for n, by in zip(shape, amounts, strict=True)])
    value, codes = 0.0, net.quantization(source)
    if op.code == Code.PADV2:
        stored = net.constant(op, 2, "a value")
        net.check_same_scale(op, source, op.inputs[2])
        value = float((dequantize(stored, codes) if codes else stored).ravel()[0])
    axes = net.axes(source)
    if any(amounts[axis].any() for axis in range(len(shape)) if axis not in axes):
        axes = net.plain_axes(source)
    if amounts[0].any() and 0 not in axes:
        raise op.refused("pads the batch", "a batch of 1")
    rows = tuple((0, 0) if axis is None else (int(amounts[axis][0]), int(amounts[axis][1])) for axis in axes)
    name = net.read(source, axes)
    net.emit(op, lambda n, out: Pad(n, (name,), out, rows, value), axes)


def _read_mirror_pad(net: Network, op: StoredOperator) -> None:
    source, amounts = net.input(op, 0), net.constant(op, 1, "amounts")
    shape = net.shapes[source]
    modes = {schema.MirrorPadMode.REFLECT: "reflect", schema.MirrorPadMode.SYMMETRIC: "symmetric"}
    mode = modes.get(op.options(schema.MirrorPadOptionsT).mode)
    if mode is None or amounts.shape != (len(shape), 2) or amounts.min() < 0:
        raise damaged(f"{op} pads {shape} by {amounts.tolist()}")
    if any(max(by) > n - (mode == "reflect") for by, n in zip(amounts.tolist(), shape, strict=True)):
        raise damaged(f"{op} reflects more than there is: {shape} by {amounts.tolist()}")
    positions: list[tuple[int, ...] | None] = [
        tuple(int(i) for i in np.pad(np.arange(n), tuple(by), mode=mode)) if any(by) else None  # type: ignore[call-overload]
        for by, n in zip(amounts.tolist(), shape, strict=True)
    ]
    _take(net, op, source, positions)


def _take(net: Network, op: StoredOperator, source: int, positions: Sequence[tuple[int, ...] | None]) -> None:
    """The positions that are taken along each of the file's axes."""
    shape = net.shapes[source]
    net.check_same_scale(op, source, op.outputs[0])
    net.output_shape(op, [n if indices is None else len(indices) for n, indices in zip(shape, positions, strict=True)])
    axes = having(net, source, [axis for axis, indices in enumerate(positions) if indices is not None])
    name, rows = net.read(source, axes), tuple(None if axis is None else positions[axis] for axis in axes)
    net.emit(op, lambda n, out: Take(n, (name,), out, rows), axes)


def having(net: Network, source: int, cut_axes: Sequence[int]) -> Axes:
    """The axes of a tensor's form, or plain ones if those lack an axis of length 1 that is worked on."""
    axes = net.axes(source)
    return axes if all(axis in axes for axis in cut_axes) else tuple(range(len(net.shapes[source])))


def _read_slice(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    ranges = slice_ranges(op, net.shapes[source], net.constant(op, 1, "a begin"), net.constant(op, 2, "a size"))
    cut(net, op, source, ranges, [])


def _read_strided_slice(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    bounds = [net.constant(op, place, what) for place, what in ((1, "a begin"), (2, "an end"), (3, "strides"))]
    ranges, dropped_axes = strided_ranges(op, net.shapes[source], bounds, op.options(schema.StridedSliceOptionsT))
    cut(net, op, source, ranges, dropped_axes)


def cut(
    net: Network, op: StoredOperator, source: int, ranges: Sequence[Range], dropped_axes: Sequence[int], place: int = 0
) -> None:
    """(begin, end, step) for each of the file's axes; `dropped_axes`, of one position, leave the shape."""
    shape = net.shapes[source]
    net.check_same_scale(op, source, op.outputs[place])
    lengths = [len(range(*r)) for r in ranges]
    net.output_shape(op, [n for axis, n in enumerate(lengths) if axis not in dropped_axes], place)
    cut_axes = [axis for axis, r in enumerate(ranges) if r != (0, shape[axis], 1)]
    axes = having(net, source, cut_axes)
    name = net.read(source, axes)
    left = [axis for axis in range(len(shape)) if axis not in dropped_axes]
    out = tuple(left.index(axis) if axis in left else None for axis in axes)
    if any(step < 0 for _, _, step in ranges):
        positions = tuple(None if axis not in cut_axes else tuple(range(*ranges[axis])) for axis in axes)
        net.emit(op, lambda n, o: Take(n, (name,), o, positions), out, place=place)
        return
    rows = tuple((0, 1, 1) if axis is None else ranges[axis] for axis in axes)
    net.emit(op, lambda n, o: Slice(n, (name,), o, rows), out, place=place)


def _read_transpose(net: Network, op: StoredOperator) -> None:
    source, order = net.input(op, 0), [int(axis) for axis in net.constant(op, 1, "an order").ravel()]
    shape = net.shapes[source]
    if sorted(order) != list(range(len(shape))):
        raise damaged(f"{op} has the order {order} for {len(shape)} axes")
    net.rename(op, source, {axis: place for place, axis in enumerate(order)}, [shape[axis] for axis in order])


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
    origin = net.flattened.get(source, source)
    if origin in net.forms and net.shapes[origin]:
        net.flattened[op.outputs[0]] = origin
        return
    name = net.plain(source)
    axes = net.plain_axes(op.outputs[0])
    net.emit(op, lambda n, out: Reshape(n, (name,), out), axes)


def _target(net: Network, op: StoredOperator, source: int) -> Shape:
    """The new shape: of the second input, the options, or the output as the file describes it."""
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
            raise damaged(f"{op} makes {shape} of {net.shapes[source]}")
        shape[shape.index(-1)] = elements // rest
    if any(n < 1 for n in shape) or prod(shape) != elements:
        raise damaged(f"{op} makes {shape} of {net.shapes[source]}")
    return tuple(shape)


def _rename_long_axes(net: Network, op: StoredOperator, source: int, target: Shape) -> None:
    """Only axes of length 1 come or go; as many of those as there are keep their place in the graph's tensor."""
    shape = net.shapes[source]
    long, into = ([axis for axis, n in enumerate(s) if n > 1] for s in (shape, target))
    net.rename(op, source, dict(zip(long, into, strict=True)), target)


def _read_squeeze(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    shape = net.shapes[source]
    squeeze_dims = op.options(schema.SqueezeOptionsT).squeezeDims
    axes = {axis_of(op, int(axis), len(shape)) for axis in (() if squeeze_dims is None else squeeze_dims)}
    dropped_axes = axes or {axis for axis, n in enumerate(shape) if n == 1}
    if any(shape[axis] != 1 for axis in dropped_axes):
        raise damaged(f"{op} squeezes {shape} along {sorted(dropped_axes)}")
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
    _take(net, op, source, [tuple(range(n))[::-1] if axis in axes else None for axis, n in enumerate(shape)])


def axis_of(op: StoredOperator, axis: int, rank: int) -> int:
    """An axis that may be counted from the end."""
    if not -rank <= axis < rank:
        raise damaged(f"{op} works along axis {axis} of {rank}")
    return int(axis) % rank


def take_rows(net: Network, op: StoredOperator, source: int, positions: Array, axis: int) -> None:
    """GATHER by positions that are constant."""
    shape = net.shapes[source]
    axis = axis_of(op, axis, len(shape))
    if positions.ndim != 1 or positions.min() < 0 or positions.max() >= shape[axis]:
        raise op.refused(f"takes positions {positions.shape} of {shape[axis]}", "a list of positions that are there")
    indices = tuple(int(i) for i in positions)
    _take(net, op, source, [indices if a == axis else None for a in range(len(shape))])


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
