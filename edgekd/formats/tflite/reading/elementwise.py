"""Gives the reader of files the readers of operators that work elementwise on one tensor or two."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import FULL_INTEGER, Axes, Code
from edgekd.formats.tflite.reading.network import Network, Reader, Rows
from edgekd.graph.ops import Add, Mul, Prelu, Relu, Sub
from edgekd.graph.structure import Activation

BINARY = {
    Code.ADD: (Add, schema.AddOptionsT),
    Code.SUB: (Sub, schema.SubOptionsT),
    Code.MUL: (Mul, schema.MulOptionsT),
}


def _read_binary(net: Network, op: StoredOperator) -> None:
    a, b = net.input(op, 0), net.input(op, 1)
    if a in net.rows or b in net.rows:
        _shift_rows(net, op, a, b)
        return
    kind, make_options = BINARY[op.code]
    options = op.options(make_options)
    if net.dtype(op.outputs[0]) == np.int32:
        raise op.refusal("computes with indices", "compute indices before the network")
    codes = net.quantization(op.outputs[0])
    if codes and codes.bits == 16 and getattr(options, "potScaleInt16", False) and op.table is not None:
        raise op.refusal("has scales that are powers of two", "convert it with a newer TensorFlow")
    shape = np.broadcast_shapes(net.shapes[a], net.shapes[b])
    net.output_shape(op, shape)
    if kind is not Sub and net.shapes[a] != shape and _has_every_value(net, b, shape):
        a, b = b, a  # only the second operand may be repeated
    if kind is not Sub and not _has_every_value(net, a, shape):
        raise op.refusal(f"repeats both its inputs, {net.shapes[a]} and {net.shapes[b]}", "repeat one of them before")
    axes = _axes(net, a if _has_every_value(net, a, shape) and a not in net.values else b, len(shape))
    names = tuple(_operand(net, tensor, axes, len(shape)) for tensor in (a, b))
    activation = net.activation(op, options.fusedActivationFunction)
    net.emit(op, lambda n, out: kind(n, names, out, activation=activation), axes)


def _has_every_value(net: Network, tensor: int, shape: tuple[int, ...]) -> bool:
    """Return whether a tensor has the output's shape, apart from leading axes of length 1, and so is not repeated."""
    own_shape = net.shapes[tensor]
    extra_axes = len(shape) - len(own_shape)
    return own_shape == shape[extra_axes:] and all(n == 1 for n in shape[:extra_axes])


def _axes(net: Network, tensor: int, rank: int) -> Axes:
    """Return a tensor's axis order as axes of an output of the given rank, which may be higher."""
    extra_axes = rank - len(net.shapes[tensor])
    return tuple(None if axis is None else axis + extra_axes for axis in net.axes(tensor))


def _operand(net: Network, tensor: int, axes: Axes, rank: int) -> str:
    """Return the graph's tensor with the rank of the output; leading axes of length 1 are added where it has fewer."""
    extra_axes = rank - len(net.shapes[tensor])
    return net.read(tensor, tuple(None if axis is None or axis < extra_axes else axis - extra_axes for axis in axes))


def _shift_rows(net: Network, op: StoredOperator, a: int, b: int) -> None:
    """Read an ADD of one integer to codes that become indices of a table's rows."""
    rows, other = (a, b) if a in net.rows else (b, a)
    shift = net.values.get(other)
    if op.code != Code.ADD or shift is None or shift.size != 1:
        raise op.refusal("computes with indices", "compute indices before the network")
    net.output_shape(op, net.shapes[rows])
    net.rows[op.outputs[0]] = Rows(net.rows[rows].source, net.rows[rows].shift + int(shift.ravel()[0]))


def _read_relu(net: Network, op: StoredOperator) -> None:
    activation: Activation = "relu6" if op.code == Code.RELU6 else "relu"
    source = net.input(op, 0)
    net.check_same_scale(op, source, op.outputs[0])
    net.output_shape(op, net.shapes[source])
    axes = net.axes(source)
    name = net.read(source, axes)
    net.emit(op, lambda n, out: Relu(n, (name,), out, activation), axes)


def _read_prelu(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    slope, stored = net.constant(op, 1, "slopes"), net.content.tensors[net.input(op, 1)]
    shape = net.shapes[source]
    net.output_shape(op, shape)
    lengths = (1,) * (len(shape) - slope.ndim) + slope.shape
    channels = next((axis for axis, length in enumerate(lengths) if length > 1), len(shape) - 1)
    if slope.size != shape[channels] or not channels:
        raise op.refusal(f"has slopes of {slope.shape}", "one slope for each channel")
    scale = 0.0
    if net.quantization(source) is not None:
        shifted_slope = slope.astype(np.int64) - stored.zero_points.sum()
        if slope.dtype != np.int8 or len(stored.scales) != 1 or shifted_slope.min() < -128 or shifted_slope.max() > 127:
            raise op.refusal("has slopes that int8 codes with the zero point 0 can't hold", FULL_INTEGER)
        slope, scale = shifted_slope.astype(np.int8), float(stored.scales[0])
    elif slope.dtype != np.float32:
        raise damage_error(f"{op} has slopes in {stored.type_name}")
    axes = (channels, *(axis for axis in range(1, len(shape)) if axis != channels))
    name = net.read(source, axes)
    net.emit(op, lambda n, out: Prelu(n, (name,), out, slope.ravel(), scale), axes)


READERS: dict[int, Reader] = {
    **dict.fromkeys(BINARY, _read_binary),
    Code.RELU: _read_relu,
    Code.RELU6: _read_relu,
    Code.PRELU: _read_prelu,
}
