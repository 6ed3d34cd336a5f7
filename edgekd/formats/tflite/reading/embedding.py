"""Gives the reader of files the readers of GATHER and EMBEDDING_LOOKUP, which take rows of a table or an activation."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import FULL_INTEGER, Code
from edgekd.formats.tflite.reading.movement import read_constant_gather
from edgekd.formats.tflite.reading.network import Network, Reader
from edgekd.graph.ops import Embedding, Unary
from edgekd.graph.structure import QMIN

CODES = 256
"""The number of int8 codes."""


def _read_gather(net: Network, op: StoredOperator) -> None:
    options = op.options(schema.GatherOptionsT)
    table, indices = net.input(op, 0), net.input(op, 1)
    if options.batchDims:
        raise op.refusal("gathers batch by batch", "indices that are the same for the whole batch")
    if indices in net.values:
        read_constant_gather(net, op, table, net.values[indices], options.axis)
    elif indices in net.rows and table in net.values:
        _read_code_table(net, op, table, indices)
    elif table in net.values and options.axis == 0:
        _read_embedding(net, op, table, indices)
    else:
        raise op.refusal("gathers what is not constant by indices that are not", "constant rows, or constant indices")


def _read_code_table(net: Network, op: StoredOperator, table: int, indices: int) -> None:
    """Read a GATHER that looks each code up in a table of 256 output codes as a Unary operator with that table."""
    rows, values = net.rows[indices], net.values[table]
    if rows.shift != -QMIN or values.shape != (CODES,) or values.dtype != np.int8:
        raise op.refusal(f"looks codes up in a table of {values.shape}", "a table of 256 int8 codes, from -128 on")
    net.check_same_scale(op, table, op.outputs[0])
    net.output_shape(op, net.shapes[indices])
    axes = net.axes(rows.source)
    name = net.read(rows.source, axes)
    net.emit(op, lambda n, out: Unary(n, (name,), out, "table", table=values.copy()), axes)


def _read_embedding_lookup(net: Network, op: StoredOperator) -> None:
    """Read an EMBEDDING_LOOKUP, whose first input is the indices and whose second is the table."""
    table, indices = net.input(op, 1), net.input(op, 0)
    if table not in net.values or indices in net.values:
        raise op.refusal("looks up what is not constant", "a constant table, and indices that are not")
    _read_embedding(net, op, table, indices)


def _read_embedding(net: Network, op: StoredOperator, table: int, indices: int) -> None:
    values = net.values[table]
    if net.dtype(indices) != np.int32 or indices not in net.forms:
        raise op.refusal("takes rows by indices that are not the network's input", "int32 indices as an input")
    if values.ndim != 2 or values.dtype not in (np.dtype(np.int8), np.dtype(np.float32)):
        raise op.refusal(f"has a table of {values.shape} {values.dtype}", FULL_INTEGER)
    net.check_same_scale(op, table, op.outputs[0])
    shape = net.output_shape(op, (*net.shapes[indices], values.shape[1]))
    index_axes = net.file_axes(indices)
    name = net.read(indices, index_axes)
    axes = (*index_axes, len(shape) - 1)
    if len(index_axes) != len(net.shapes[indices]) - 1:
        raise damage_error(f"{op} has indices of {net.shapes[indices]}")
    net.emit(op, lambda n, out: Embedding(n, (name,), out, values.copy()), axes)


READERS: dict[int, Reader] = {Code.GATHER: _read_gather, Code.EMBEDDING_LOOKUP: _read_embedding_lookup}
