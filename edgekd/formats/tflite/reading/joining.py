"""Gives the reader of files the readers of operators that split a tensor along an axis, or join several."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import Axes, Code
from edgekd.formats.tflite.reading.movement import axes_including, axis_of, emit_slice
from edgekd.formats.tflite.reading.network import Network, Reader
from edgekd.graph.ops import Concat


def _read_split(net: Network, op: StoredOperator) -> None:
    """Read SPLIT, whose first input is the axis, and SPLIT_V, whose last inputs are the sizes and the axis."""
    by_sizes = op.code == Code.SPLIT_V
    source = net.input(op, 0 if by_sizes else 1)
    shape = net.shapes[source]
    axis = axis_of(op, int(net.constant(op, 2 if by_sizes else 0, "an axis").ravel()[0]), len(shape))
    if by_sizes:
        lengths = [int(n) for n in net.constant(op, 1, "sizes").ravel()]
        rest = shape[axis] - sum(n for n in lengths if n != -1)
        lengths = [rest if n == -1 else n for n in lengths]
    else:
        lengths = [shape[axis] // len(op.outputs)] * len(op.outputs)
    if len(lengths) != len(op.outputs) or min(lengths) < 1 or sum(lengths) != shape[axis]:
        raise damage_error(f"{op} splits {shape[axis]} into {lengths}")
    begin = 0
    for place, length in enumerate(lengths):
        ranges = [(begin, begin + length, 1) if a == axis else (0, n, 1) for a, n in enumerate(shape)]
        emit_slice(net, op, source, ranges, [], place)
        begin += length


def _read_unpack(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    shape = net.shapes[source]
    axis = axis_of(op, op.options(schema.UnpackOptionsT).axis, len(shape))
    if len(op.outputs) != shape[axis]:
        raise damage_error(f"{op} unpacks {shape[axis]} into {len(op.outputs)}")
    for place in range(shape[axis]):
        ranges = [(place, place + 1, 1) if a == axis else (0, n, 1) for a, n in enumerate(shape)]
        emit_slice(net, op, source, ranges, [axis], place)


def _read_pack(net: Network, op: StoredOperator) -> None:
    shape = net.shapes[net.input(op, 0)]
    axis = axis_of(op, op.options(schema.PackOptionsT).axis, len(shape) + 1)
    if any(net.shapes[tensor] != shape for tensor in op.inputs):
        raise damage_error(f"{op} packs tensors of different shapes")
    out = net.output_shape(op, (*shape[:axis], len(op.inputs), *shape[axis:]))
    net.check_same_scale(op, *op.inputs, op.outputs[0])
    axes: Axes = tuple(range(0 if axis == 0 or out[0] > 1 else 1, len(out)))
    operand_axes = tuple(None if a == axis else a - (a > axis) for a in axes if a is not None)
    names, place = tuple(net.read(tensor, operand_axes) for tensor in op.inputs), axes.index(axis)
    net.emit(op, lambda n, o: Concat(n, names, o, place), axes)


def _read_concat(net: Network, op: StoredOperator) -> None:
    options = op.options(schema.ConcatenationOptionsT)
    shapes = [net.shapes[net.input(op, place)] for place in range(len(op.inputs))]
    if not shapes:
        raise damage_error(f"{op} joins nothing")
    axis = axis_of(op, options.axis, len(shapes[0]))
    if any((s[:axis], s[axis + 1 :]) != (shapes[0][:axis], shapes[0][axis + 1 :]) for s in shapes):
        raise damage_error(f"{op} joins tensors of {shapes}")
    net.output_shape(op, [sum(s[axis] for s in shapes) if a == axis else n for a, n in enumerate(shapes[0])])
    net.check_same_scale(op, *op.inputs, op.outputs[0])
    axes = axes_including(net, next((t for t in op.inputs if t not in net.values), op.inputs[0]), [axis])
    names, place = tuple(net.read(tensor, axes) for tensor in op.inputs), axes.index(axis)
    activation = net.activation(op, options.fusedActivationFunction)
    net.emit(op, lambda n, o: Concat(n, names, o, place), axes, activation)


READERS: dict[int, Reader] = {
    Code.SPLIT: _read_split,
    Code.SPLIT_V: _read_split,
    Code.UNPACK: _read_unpack,
    Code.PACK: _read_pack,
    Code.CONCATENATION: _read_concat,
}
