"""Writes a graph as a TFLite file, float32 or int8, channel-last, straight through the flatbuffer schema.

Weights of a quantised graph are int8 per output channel, as the TFLite 8-bit quantization specification has them; the
scales in the file are the very ones that were trained.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.exporters.flatbuffer import Code, FlatbufferFile, channel_last
from edgekd.exporters.metadata import Preprocessing, describe
from edgekd.graph.ops import (
    Activation,
    Add,
    AveragePool2d,
    Conv2d,
    GlobalAveragePool,
    Graph,
    Linear,
    MaxPool2d,
    Operator,
    Pad,
    Relu,
    Reshape,
    Slice,
    Tensor,
)

ACTIVATIONS: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def write(graph: Graph, path: Path, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> Path:
    """Write `graph` to `path` with batch 1; the input and output of a quantised graph are int8.

    Raises:
        UnsupportedOperatorError: naming the operator that TFLite has no form for.
    """
    path.write_bytes(serialize(graph, labels, preprocessing))
    return path


def serialize(graph: Graph, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> bytes:
    """The file's bytes; the same graph gives the same bytes."""
    file = FlatbufferFile(graph)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no TFLite form", 'export.formats = ["onnx"]'
            )
        WRITERS[type(op)](file, op)
    return file.finish(describe(graph, labels, preprocessing))


def _write_conv2d(file: FlatbufferFile, op: Conv2d) -> None:
    source, padding = file.padded_input(op)
    channels = file.graph.tensors[op.inputs[0]].shape[0]
    if op.groups not in (1, channels):
        raise UnsupportedOperatorError(
            f"layer {op.name} (conv2d, {op.source}): grouped convolutions ({op.groups} groups of {channels} channels) "
            "have no int8 kernel here",
            "groups = 1, or as many groups as channels (depthwise)",
        )
    if op.depthwise:
        options, code = schema.DepthwiseConv2DOptionsT(), Code.DEPTHWISE_CONV_2D
        options.depthMultiplier = len(op.weight) // channels
        weights = file.weights(op, op.weight.transpose(1, 2, 3, 0), channel_axis=3)
    else:
        options, code = schema.Conv2DOptionsT(), Code.CONV_2D
        weights = file.weights(op, op.weight.transpose(0, 2, 3, 1), channel_axis=0)
    options.padding, options.fusedActivationFunction = padding, ACTIVATIONS[op.activation]
    options.strideH, options.strideW = op.stride
    options.dilationHFactor, options.dilationWFactor = op.dilation
    file.operator(code, file.int8_version(3), [source, *weights], file.output(op), options)


def _write_linear(file: FlatbufferFile, op: Linear) -> None:
    weight = op.weight
    if op.inputs[0] in file.permuted:  # flattened channel-last, where torch flattens channel-first
        made_by = next(o for o in file.graph.operators if o.output == op.inputs[0])
        channels, height, width = file.graph.tensors[made_by.inputs[0]].shape
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    inputs = [*file.inputs(op), *file.weights(op, weight, channel_axis=0)]
    file.operator(Code.FULLY_CONNECTED, file.int8_version(5), inputs, file.output(op), options)


def _write_add(file: FlatbufferFile, op: Add) -> None:
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    file.operator(Code.ADD, file.int8_version(2), file.inputs(op), file.output(op), options)


def _write_relu(file: FlatbufferFile, op: Relu) -> None:
    code = Code.RELU6 if op.activation == "relu6" else Code.RELU
    file.operator(code, file.int8_version(2), file.inputs(op), file.output(op))


def _write_global_average_pool(file: FlatbufferFile, op: GlobalAveragePool) -> None:
    axes = file.constant(f"{op.name}/axes", np.array([1, 2], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = False
    file.operator(Code.MEAN, file.int8_version(2), [*file.inputs(op), axes], file.output(op), options)


def _pool_options(op: MaxPool2d | AveragePool2d, padding: int) -> Any:
    options = schema.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, schema.ActivationFunctionType.NONE
    options.filterHeight, options.filterWidth = op.kernel
    options.strideH, options.strideW = op.stride
    return options


def _write_max_pool2d(file: FlatbufferFile, op: MaxPool2d) -> None:
    source, padding = file.padded_input(op)
    options = _pool_options(op, padding)
    file.operator(Code.MAX_POOL_2D, file.int8_version(2), [source], file.output(op), options)


def _write_average_pool2d(file: FlatbufferFile, op: AveragePool2d) -> None:
    options = _pool_options(op, schema.Padding.VALID)
    file.operator(Code.AVERAGE_POOL_2D, file.int8_version(2), file.inputs(op), file.output(op), options)


def _write_pad(file: FlatbufferFile, op: Pad) -> None:
    amounts = channel_last(op.amounts) if len(op.amounts) == 3 else op.amounts  # type: ignore[arg-type]
    by = file.constant(f"{op.name}/paddings", np.array(((0, 0), *amounts), np.int32))
    inputs = [*file.inputs(op), by]
    file.operator(Code.PAD, file.int8_version(2), inputs, file.output(op), schema.PadOptionsT())


def _write_slice(file: FlatbufferFile, op: Slice) -> None:
    ranges = channel_last(op.ranges) if len(op.ranges) == 3 else op.ranges  # type: ignore[arg-type]
    rows = np.array(((0, 0, 1), *ranges), np.int32)
    names = ("begin", "end", "strides")
    arrays = [file.constant(f"{op.name}/{name}", rows[:, i].copy()) for i, name in enumerate(names)]
    options = schema.StridedSliceOptionsT()
    options.beginMask = options.endMask = 1  # the whole batch
    file.operator(Code.STRIDED_SLICE, file.int8_version(2), [*file.inputs(op), *arrays], file.output(op), options)


def _write_reshape(file: FlatbufferFile, op: Reshape) -> None:
    before, after = file.graph.tensors[op.inputs[0]], file.graph.tensors[op.output]
    source = file.activation(before)
    reordered = len(before.shape) == 3 and before.shape[0] > 1 and before.shape[1] * before.shape[2] > 1
    into_linear = len(after.shape) == 1 and after.name != file.graph.output
    if reordered and into_linear and all(isinstance(c, Linear) for c in file.graph.consumers(after.name)):
        file.permuted.add(after.name)
    elif reordered:
        source = _transpose(file, op.name, "channel_first", before, source, (0, 3, 1, 2), before.shape)
    back = len(after.shape) == 3 and after.shape[0] > 1 and after.shape[1] * after.shape[2] > 1
    if not back:
        _reshape(file, op.name, source, file.output(op), channel_last(after.shape))
        return
    flat = file.activation(after, f"{op.name}/channel_first_out", after.shape)
    _reshape(file, op.name, source, flat, after.shape)
    _transpose(file, op.name, None, after, flat, (0, 2, 3, 1), channel_last(after.shape))


def _reshape(file: FlatbufferFile, name: str, source: int, output: int, shape: tuple[int, ...]) -> None:
    target = np.array((-1, *shape), np.int32)
    options = schema.ReshapeOptionsT()
    options.newShape = target
    inputs = [source, file.constant(f"{name}/shape", target)]
    file.operator(Code.RESHAPE, 1, inputs, output, options)


def _transpose(
    file: FlatbufferFile,
    name: str,
    suffix: str | None,
    tensor: Tensor,
    source: int,
    order: tuple[int, ...],
    shape: tuple[int, ...],
) -> int:
    by = file.constant(f"{name}/order{len(file.tensors)}", np.array(order, np.int32))
    output = file.activation(tensor, f"{name}/{suffix}" if suffix else None, shape)
    file.operator(Code.TRANSPOSE, file.int8_version(2), [source, by], output, schema.TransposeOptionsT())
    return output


WRITERS: dict[type[Operator], Callable[[FlatbufferFile, Any], None]] = {
    Conv2d: _write_conv2d,
    Linear: _write_linear,
    Add: _write_add,
    Relu: _write_relu,
    GlobalAveragePool: _write_global_average_pool,
    MaxPool2d: _write_max_pool2d,
    AveragePool2d: _write_average_pool2d,
    Pad: _write_pad,
    Slice: _write_slice,
    Reshape: _write_reshape,
}
