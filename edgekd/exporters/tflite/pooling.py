"""Means and maxima."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.exporters.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d
from edgekd.graph.structure import Operator


def _write_global_average_pool(file: FlatbufferFile, op: GlobalAveragePool) -> None:
    axes = file.constant(f"{op.name}/axes", np.array([1, 2], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = False
    file.operator(Code.MEAN, file.version(op, 2), [*file.inputs(op), axes], file.output(op), options)


def _pool_options(op: MaxPool2d | AveragePool2d, padding: int) -> Any:
    options = schema.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, schema.ActivationFunctionType.NONE
    options.filterHeight, options.filterWidth = op.kernel
    options.strideH, options.strideW = op.stride
    return options


def _write_max_pool2d(file: FlatbufferFile, op: MaxPool2d) -> None:
    source, padding = file.padded_input(op)
    options = _pool_options(op, padding)
    file.operator(Code.MAX_POOL_2D, file.version(op, 2), [source], file.output(op), options)


def _write_average_pool2d(file: FlatbufferFile, op: AveragePool2d) -> None:
    options = _pool_options(op, schema.Padding.VALID)
    file.operator(Code.AVERAGE_POOL_2D, file.version(op, 2), file.inputs(op), file.output(op), options)


WRITERS: dict[type[Operator], Writer] = {
    GlobalAveragePool: _write_global_average_pool,
    MaxPool2d: _write_max_pool2d,
    AveragePool2d: _write_average_pool2d,
}
