"""Values that follow from constants and shapes alone, as converters leave them of a reshape with an open batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damaged
from edgekd.formats.tflite.reading.network import Code, Network
from edgekd.formats.tflite.reading.ranges import slice_ranges, strided_ranges
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.structure import Array

MOST = 2**16
"""Values of a constant that is computed here, but for one that is only reshaped or made real."""


def folded(net: Network, op: StoredOperator) -> bool:
    """Compute an operator whose inputs are all known; False where they are not, or it has no rule here."""
    if op.code == Code.SHAPE:
        source = net.input(op, 0)
        if source not in net.shapes:
            return False
        _keep(net, op, np.array(net.shapes[source], np.int32))
        return True
    known = [net.values.get(tensor) for tensor in op.inputs]
    if op.code not in RULES or not known or any(values is None for values in known):
        return False
    _keep(net, op, RULES[op.code](net, op, known))
    return True


def _keep(net: Network, op: StoredOperator, values: Array) -> None:
    if values.size > MOST and op.code not in (Code.DEQUANTIZE, Code.RESHAPE):
        raise damaged(f"{op} computes {values.size:,} values of constants")
    net.values[op.outputs[0]], net.shapes[op.outputs[0]] = values, values.shape


def _strided_slice(net: Network, op: StoredOperator, known: list[Any]) -> Array:
    values, *bounds = known
    ranges, dropped = strided_ranges(op, values.shape, bounds, op.options(schema.StridedSliceOptionsT))
    taken = values[np.ix_(*(np.arange(*r) for r in ranges))]
    result: Array = taken.reshape([n for axis, n in enumerate(taken.shape) if axis not in dropped])
    return result


def _slice(net: Network, op: StoredOperator, known: list[Any]) -> Array:
    cut: Array = known[0][tuple(slice(*r) for r in slice_ranges(op, known[0].shape, *known[1:]))]
    return cut


def _cast(net: Network, op: StoredOperator, known: list[Any]) -> Array:
    values: Array = known[0].astype(net.dtype(op.outputs[0]))
    return values


def _declared(net: Network, op: StoredOperator) -> tuple[int, ...]:
    """The output's shape as the file describes it."""
    return net.content.tensors[op.outputs[0]].shape


def _dequantize(net: Network, op: StoredOperator, known: list[Any]) -> Array:
    return dequantize(known[0], net.codes(op, net.input(op, 0)))


RULES: dict[int, Callable[[Network, StoredOperator, list[Any]], Array]] = {
    Code.STRIDED_SLICE: _strided_slice,
    Code.SLICE: _slice,
    Code.CAST: _cast,
    Code.DEQUANTIZE: _dequantize,
    Code.PACK: lambda net, op, known: np.stack(known, op.options(schema.PackOptionsT).axis),
    Code.CONCATENATION: lambda net, op, known: np.concatenate(known, op.options(schema.ConcatenationOptionsT).axis),
    Code.GATHER: lambda net, op, known: known[0].take(known[1], op.options(schema.GatherOptionsT).axis),
    Code.RESHAPE: lambda net, op, known: known[0].reshape(known[1] if len(known) > 1 else _declared(net, op)),
    Code.TRANSPOSE: lambda net, op, known: known[0].transpose(known[1].ravel()),
    Code.SQUEEZE: lambda net, op, known: known[0].reshape(_declared(net, op)),
    Code.EXPAND_DIMS: lambda net, op, known: np.expand_dims(known[0], int(known[1].ravel()[0])),
    Code.REDUCE_PROD: lambda net, op, known: known[0].prod(
        tuple(known[1].ravel()), keepdims=op.options(schema.ReducerOptionsT).keepDims
    ),
    Code.ADD: lambda net, op, known: _whole(op, known)[0] + known[1],
    Code.SUB: lambda net, op, known: _whole(op, known)[0] - known[1],
    Code.MUL: lambda net, op, known: _whole(op, known)[0] * known[1],
}  # fmt: skip


def _whole(op: StoredOperator, known: list[Any]) -> list[Any]:
    if any(values.dtype not in (np.dtype(np.int32), np.dtype(np.int64)) for values in known):
        raise op.refused("computes with constants alone", "let the converter fold its constants")
    return known
