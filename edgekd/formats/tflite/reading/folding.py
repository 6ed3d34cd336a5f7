"""Gives the reader of files the values that operators compute from constants and shapes alone.

Converters write such operators for a reshape with an open batch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import Code
from edgekd.formats.tflite.reading.network import Network
from edgekd.formats.tflite.reading.ranges import slice_ranges, strided_ranges
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.structure import Array

MOST_COMPUTED_VALUES = 2**16
"""The largest number of values that an operator may compute here, apart from RESHAPE and DEQUANTIZE."""


def fold(net: Network, op: StoredOperator) -> bool:
    """Compute an operator whose inputs are all constant; return False if one is not, or if there is no rule for it."""
    if op.code == Code.SHAPE:
        source = net.input(op, 0)
        if source not in net.shapes:
            return False
        _store_values(net, op, np.array(net.shapes[source], np.int32))
        return True
    operands = [net.values.get(tensor) for tensor in op.inputs]
    if op.code not in RULES or not operands or any(values is None for values in operands):
        return False
    _store_values(net, op, RULES[op.code](net, op, operands))
    return True


def _store_values(net: Network, op: StoredOperator, values: Array) -> None:
    if values.size > MOST_COMPUTED_VALUES and op.code not in (Code.DEQUANTIZE, Code.RESHAPE):
        raise damage_error(f"{op} computes {values.size:,} values of constants")
    net.values[op.outputs[0]], net.shapes[op.outputs[0]] = values, values.shape


def _strided_slice(net: Network, op: StoredOperator, operands: list[Any]) -> Array:
    values, *bounds = operands
    ranges, dropped_axes = strided_ranges(op, values.shape, bounds, op.options(schema.StridedSliceOptionsT))
    part = values[np.ix_(*(np.arange(*r) for r in ranges))]
    result: Array = part.reshape([n for axis, n in enumerate(part.shape) if axis not in dropped_axes])
    return result


def _slice(net: Network, op: StoredOperator, operands: list[Any]) -> Array:
    part: Array = operands[0][tuple(slice(*r) for r in slice_ranges(op, operands[0].shape, *operands[1:]))]
    return part


def _cast(net: Network, op: StoredOperator, operands: list[Any]) -> Array:
    values: Array = operands[0].astype(net.dtype(op.outputs[0]))
    return values


def _reshape(net: Network, op: StoredOperator, operands: list[Any]) -> Array:
    values: Array = operands[0].reshape(operands[1] if len(operands) > 1 else _stored_shape(net, op))
    return values


def _stored_shape(net: Network, op: StoredOperator) -> tuple[int, ...]:
    """Return the output's shape as the file describes it."""
    return net.content.tensors[op.outputs[0]].shape


def _dequantize(net: Network, op: StoredOperator, operands: list[Any]) -> Array:
    return dequantize(operands[0], net.codes(op, net.input(op, 0)))


RULES: dict[int, Callable[[Network, StoredOperator, list[Any]], Array]] = {
    Code.STRIDED_SLICE: _strided_slice,
    Code.SLICE: _slice,
    Code.CAST: _cast,
    Code.DEQUANTIZE: _dequantize,
    Code.PACK: lambda net, op, operands: np.stack(operands, op.options(schema.PackOptionsT).axis),
    Code.CONCATENATION: lambda net, op, operands: np.concatenate(
        operands, op.options(schema.ConcatenationOptionsT).axis
    ),
    Code.GATHER: lambda net, op, operands: operands[0].take(operands[1], op.options(schema.GatherOptionsT).axis),
    Code.RESHAPE: _reshape,
    Code.TRANSPOSE: lambda net, op, operands: operands[0].transpose(operands[1].ravel()),
    Code.SQUEEZE: lambda net, op, operands: operands[0].reshape(_stored_shape(net, op)),
    Code.EXPAND_DIMS: lambda net, op, operands: np.expand_dims(operands[0], int(operands[1].ravel()[0])),
    Code.REDUCE_PROD: lambda net, op, operands: operands[0].prod(
        tuple(operands[1].ravel()), keepdims=op.options(schema.ReducerOptionsT).keepDims
    ),
    Code.ADD: lambda net, op, operands: _integers(op, operands)[0] + operands[1],
    Code.SUB: lambda net, op, operands: _integers(op, operands)[0] - operands[1],
    Code.MUL: lambda net, op, operands: _integers(op, operands)[0] * operands[1],
}  # fmt: skip


def _integers(op: StoredOperator, operands: list[Any]) -> list[Any]:
    if any(values.dtype not in (np.dtype(np.int32), np.dtype(np.int64)) for values in operands):
        raise op.refusal("computes with constants alone", "let the converter fold its constants")
    return operands
