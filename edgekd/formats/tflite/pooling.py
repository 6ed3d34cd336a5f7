"""The TFLite forms of means and maxima."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.layout import IMAGE, Layout
from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.formats.tflite.windows import cut, pad_input
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean, Pool2d, Reshape
from edgekd.graph.structure import Operator


def _write_global_average_pool(file: FlatbufferFile, op: GlobalAveragePool) -> None:
    (source,) = file.inputs(op, IMAGE)
    readers = file.graph.consumers(op.output)
    shapes = {file.graph.tensors[reader.output].shape for reader in readers if isinstance(reader, Reshape)}
    image = bool(readers) and {len(shape) for shape in shapes} == {3}  # height and width of 1, for the readers' sake
    channels = file.graph.tensors[op.output].shape
    output = file.declare(op.output, Layout.of(channels, (None, None, 0) if image else None))
    _write_mean_of(file, op, source, (0, 1), output, keep=image)


def _write_mean(file: FlatbufferFile, op: Mean) -> None:
    """Write a mean, after which the remaining axes keep their order in memory."""
    (source,) = file.inputs(op)
    order = file.input_orders[op.output]
    output_axes = [axis for axis in range(len(file.graph.tensors[op.inputs[0]].shape)) if axis not in op.axes]
    places = tuple(place for place, axis in enumerate(order) if axis in op.axes)
    output_order = tuple(None if axis is None else output_axes.index(axis) for axis in order if axis not in op.axes)
    _write_mean_of(file, op, source, places, file.output(op, output_order))


def _write_mean_of(
    file: FlatbufferFile, op: Operator, source: int, places: tuple[int, ...], output: int, keep: bool = False
) -> None:
    """Write a MEAN over the stored axes at `places`, the batch not counted; `keep` leaves them with length 1."""
    axes = file.constant(f"{op.name}/axes", np.array([place + 1 for place in places], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    file.operator(Code.MEAN, file.version(op, 2), [source, axes], output, options)


def _pool_options(op: Pool2d, padding: int, stride: tuple[int, int]) -> Any:
    options = schema.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, schema.ActivationFunctionType.NONE
    options.filterHeight, options.filterWidth = op.kernel
    options.strideH, options.strideW = stride
    return options


def _write_max_pool2d(file: FlatbufferFile, op: MaxPool2d) -> None:
    source, padding = pad_input(file, op)
    options = _pool_options(op, padding, op.stride)
    file.operator(Code.MAX_POOL_2D, file.version(op, 2), [source], file.output(op), options)


def _write_average_pool2d(file: FlatbufferFile, op: AveragePool2d) -> None:
    tensor = file.graph.tensors[op.inputs[0]]
    padding = op.tflite_padding(tensor.shape)
    (source,) = file.inputs(op, IMAGE)
    if padding is not None:
        options = _pool_options(op, getattr(schema.Padding, padding), op.stride)
        file.operator(Code.AVERAGE_POOL_2D, file.version(op, 2), [source], file.output(op), options)
        return
    _write_every_window(file, op, source)


def _write_every_window(file: FlatbufferFile, op: AveragePool2d, source: int) -> None:
    """Pool at stride 1 and slice, where TFLite's SAME pads differently."""
    channels, height, width = file.graph.tensors[op.inputs[0]].shape
    _, *size = file.graph.tensors[op.output].shape
    begin = [
        (kernel - 1) // 2 - before for kernel, before in zip(op.kernel, (op.padding[0], op.padding[2]), strict=True)
    ]
    last = [b + (n - 1) * s for b, n, s in zip(begin, size, op.stride, strict=True)]
    if min(begin) < 0 or last[0] >= height or last[1] >= width:
        raise UnsupportedOperatorError(
            f"layer {op.name} (average pool, {op.source}): TFLite can't leave padding of {op.padding} out of the count",
            "count_include_pad = True, or an odd kernel with padding = kernel // 2",
        )
    every = file.activation(file.graph.tensors[op.output], f"{op.name}/every", (height, width, channels))
    options = _pool_options(op, schema.Padding.SAME, (1, 1))
    file.operator(Code.AVERAGE_POOL_2D, file.version(op, 2), [source], every, options)
    cut(file, op, every, (begin[0], begin[1]), (size[0], size[1]), op.stride)


WRITERS: dict[type[Operator], Writer] = {
    GlobalAveragePool: _write_global_average_pool,
    Mean: _write_mean,
    MaxPool2d: _write_max_pool2d,
    AveragePool2d: _write_average_pool2d,
}
