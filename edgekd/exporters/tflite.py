"""Writes a graph as a TFLite file, float32 or int8, channel-last, straight through the flatbuffer schema.

Weights of a quantised graph are int8 per output channel, as the TFLite 8-bit quantization specification has them; the
scales in the file are the very ones that were trained.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.exporters.metadata import Preprocessing, describe
from edgekd.graph.ops import (
    Activation,
    Add,
    Array,
    AveragePool2d,
    Conv2d,
    GlobalAveragePool,
    Graph,
    Linear,
    MaxPool2d,
    Operator,
    Pad,
    Quantization,
    Relu,
    Reshape,
    Slice,
    Tensor,
    Weighted,
    tflite_padding,
)

Code = schema.BuiltinOperator
ACTIVATIONS: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}
ALIGNMENT = 16
"""Of a buffer's data, in bytes: `force_align` in the schema."""


def write(graph: Graph, path: Path, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> Path:
    """Write `graph` to `path` with batch 1; the input and output of a quantised graph are int8.

    Raises:
        UnsupportedOperatorError: naming the operator that TFLite has no form for.
    """
    path.write_bytes(serialize(graph, labels, preprocessing))
    return path


def serialize(graph: Graph, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> bytes:
    """The file's bytes; the same graph gives the same bytes."""
    writer = _Writer(graph)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no TFLite form", 'export.formats = ["onnx"]'
            )
        WRITERS[type(op)](writer, op)
    return writer.finish(describe(graph, labels, preprocessing))


def channel_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(C, H, W) -> (H, W, C); other ranks stay."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else shape


class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data starts on ALIGNMENT bytes; the generated class does not see to it."""

    def Pack(self, builder: Any) -> int:
        data = None
        if self.data is not None:
            builder.StartVector(1, len(self.data), ALIGNMENT)
            builder.head = builder.head - len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class _Writer:
    """Collects tensors, buffers and operators of one file."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.buffers: list[AlignedBuffer] = [AlignedBuffer()]  # the first is empty, by the schema
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[tuple[int, int]] = []
        self.index: dict[str, int] = {}
        self.permuted: set[str] = set()  # flattened tensors that hold channel-last order
        self.activation(graph.tensors[graph.input])

    def activation(self, tensor: Tensor, name: str | None = None, shape: tuple[int, ...] | None = None) -> int:
        """The index of a tensor between operators, made at its first use."""
        name = name or tensor.name
        if name not in self.index:
            dtype = np.dtype(np.int8 if self.graph.quantized else np.float32)
            quantized = _quantization(tensor.quantization) if tensor.quantization else None
            shape = channel_last(tensor.shape) if shape is None else shape
            self.index[name] = self._tensor(name, (1, *shape), dtype, 0, quantized)
        return self.index[name]

    def constant(self, name: str, values: Array, quantization: Any = None) -> int:
        """The index of a tensor whose values stand in the file."""
        buffer = AlignedBuffer()
        buffer.data = np.ascontiguousarray(values).tobytes()
        self.buffers.append(buffer)
        return self._tensor(name, values.shape, values.dtype, len(self.buffers) - 1, quantization)

    def _tensor(self, name: str, shape: tuple[int, ...], dtype: Any, buffer: int, quantization: Any) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer, tensor.quantization = (
            name,
            TYPES[np.dtype(dtype)],
            buffer,
            quantization,
        )
        tensor.shape = np.array(shape, np.int32)
        tensor.hasRank = True
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def inputs(self, op: Operator) -> list[int]:
        return [self.activation(self.graph.tensors[name]) for name in op.inputs]

    def output(self, op: Operator) -> int:
        return self.activation(self.graph.tensors[op.output])

    def operator(self, code: int, version: int, inputs: list[int], output: int, options: Any = None) -> None:
        key = (code, version)
        if key not in self.codes:
            self.codes.append(key)
        written = schema.OperatorT()
        written.opcodeIndex = self.codes.index(key)
        written.inputs, written.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if options is not None:
            written.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            written.builtinOptions = options
        self.operators.append(written)

    def weights(self, op: Weighted, weight: Array, channel_axis: int) -> list[int]:
        """Indices of weight and bias, with their scales in a quantised graph."""
        if op.weight_scale is None:
            return [self.constant(f"{op.name}/weight", weight), self.constant(f"{op.name}/bias", op.bias)]
        scale = op.weight_scale.astype(np.float32)
        step = np.float32(self.graph.quantization(op.inputs[0]).scale) * scale
        return [
            self.constant(f"{op.name}/weight", weight, _per_channel(scale, channel_axis)),
            self.constant(f"{op.name}/bias", op.bias, _per_channel(step, 0)),
        ]

    def int8_version(self, quantized: int) -> int:
        """The operator's version: 1 in float, `quantized` in int8."""
        return quantized if self.graph.quantized else 1

    def padded_input(self, op: Conv2d | MaxPool2d) -> tuple[int, int]:
        """(index of the input, TFLite's padding), after a PAD where SAME would pad otherwise than torch does."""
        tensor = self.graph.tensors[op.inputs[0]]
        padding = tflite_padding(op, tensor.shape)
        source = self.activation(tensor)
        if padding is not None:
            return source, getattr(schema.Padding, padding)
        if isinstance(op, MaxPool2d):
            raise UnsupportedOperatorError(
                f"layer {op.name} (max_pool2d, {op.source}): TFLite can't pad a max pool by {op.padding}",
                "use a stride of 1 with an odd kernel, or no padding",
            )
        top, bottom, left, right = op.padding
        return self.pad(op.name, tensor, source, ((0, 0), (top, bottom), (left, right))), schema.Padding.VALID

    def pad(self, name: str, tensor: Tensor, source: int, amounts: tuple[tuple[int, int], ...]) -> int:
        """Write a PAD of (before, after) for each axis of (C, H, W); the index of what it gives."""
        shape = tuple(n + before + after for n, (before, after) in zip(tensor.shape, amounts, strict=True))
        rows = ((0, 0), *channel_last(amounts))  # type: ignore[arg-type]
        by = self.constant(f"{name}/paddings", np.array(rows, np.int32))
        padded = self.activation(Tensor(name, shape, tensor.quantization), f"{name}/padded")
        self.operator(Code.PAD, self.int8_version(2), [source, by], padded, schema.PadOptionsT())
        return padded

    def finish(self, metadata: dict[str, str]) -> bytes:
        subgraph = schema.SubGraphT()
        subgraph.name, subgraph.tensors, subgraph.operators = "main", self.tensors, self.operators
        subgraph.inputs = np.array([self.index[self.graph.input]], np.int32)
        subgraph.outputs = np.array([self.index[self.graph.output]], np.int32)
        model = schema.ModelT()
        model.version, model.description = 3, "edgekd"
        model.subgraphs, model.buffers = [subgraph], self.buffers
        model.operatorCodes = [_operator_code(*key) for key in self.codes]
        model.signatureDefs = [self._signature()]
        model.metadata = [self._metadata(name, text) for name, text in metadata.items()]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _signature(self) -> Any:
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [_tensor_map("input", self.index[self.graph.input])]
        signature.outputs = [_tensor_map("output", self.index[self.graph.output])]
        return signature

    def _metadata(self, name: str, text: str) -> Any:
        buffer = AlignedBuffer()
        buffer.data = text.encode()
        self.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(self.buffers) - 1
        return entry


def _tensor_map(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def _operator_code(code: int, version: int) -> Any:
    entry = schema.OperatorCodeT()
    entry.builtinCode, entry.version = code, version
    entry.deprecatedBuiltinCode = min(code, 127)
    return entry


def _quantization(quantization: Quantization) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.array([quantization.scale], np.float32)
    parameters.zeroPoint = np.array([quantization.zero_point], np.int64)
    return parameters


def _per_channel(scale: Array, axis: int) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.quantizedDimension = scale, axis
    parameters.zeroPoint = np.zeros(len(scale), np.int64)
    return parameters


def _write_conv2d(writer: _Writer, op: Conv2d) -> None:
    source, padding = writer.padded_input(op)
    channels = writer.graph.tensors[op.inputs[0]].shape[0]
    if op.groups not in (1, channels):
        raise UnsupportedOperatorError(
            f"layer {op.name} (conv2d, {op.source}): grouped convolutions ({op.groups} groups of {channels} channels) "
            "have no int8 kernel here",
            "groups = 1, or as many groups as channels (depthwise)",
        )
    if op.depthwise:
        options, code = schema.DepthwiseConv2DOptionsT(), Code.DEPTHWISE_CONV_2D
        options.depthMultiplier = len(op.weight) // channels
        weights = writer.weights(op, op.weight.transpose(1, 2, 3, 0), channel_axis=3)
    else:
        options, code = schema.Conv2DOptionsT(), Code.CONV_2D
        weights = writer.weights(op, op.weight.transpose(0, 2, 3, 1), channel_axis=0)
    options.padding, options.fusedActivationFunction = padding, ACTIVATIONS[op.activation]
    options.strideH, options.strideW = op.stride
    options.dilationHFactor, options.dilationWFactor = op.dilation
    writer.operator(code, writer.int8_version(3), [source, *weights], writer.output(op), options)


def _write_linear(writer: _Writer, op: Linear) -> None:
    weight = op.weight
    if op.inputs[0] in writer.permuted:  # flattened channel-last, where torch flattens channel-first
        made_by = next(o for o in writer.graph.operators if o.output == op.inputs[0])
        channels, height, width = writer.graph.tensors[made_by.inputs[0]].shape
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    inputs = [*writer.inputs(op), *writer.weights(op, weight, channel_axis=0)]
    writer.operator(Code.FULLY_CONNECTED, writer.int8_version(5), inputs, writer.output(op), options)


def _write_add(writer: _Writer, op: Add) -> None:
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    writer.operator(Code.ADD, writer.int8_version(2), writer.inputs(op), writer.output(op), options)


def _write_relu(writer: _Writer, op: Relu) -> None:
    code = Code.RELU6 if op.activation == "relu6" else Code.RELU
    writer.operator(code, writer.int8_version(2), writer.inputs(op), writer.output(op))


def _write_global_average_pool(writer: _Writer, op: GlobalAveragePool) -> None:
    axes = writer.constant(f"{op.name}/axes", np.array([1, 2], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = False
    writer.operator(Code.MEAN, writer.int8_version(2), [*writer.inputs(op), axes], writer.output(op), options)


def _pool_options(op: MaxPool2d | AveragePool2d, padding: int) -> Any:
    options = schema.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = padding, schema.ActivationFunctionType.NONE
    options.filterHeight, options.filterWidth = op.kernel
    options.strideH, options.strideW = op.stride
    return options


def _write_max_pool2d(writer: _Writer, op: MaxPool2d) -> None:
    source, padding = writer.padded_input(op)
    options = _pool_options(op, padding)
    writer.operator(Code.MAX_POOL_2D, writer.int8_version(2), [source], writer.output(op), options)


def _write_average_pool2d(writer: _Writer, op: AveragePool2d) -> None:
    options = _pool_options(op, schema.Padding.VALID)
    writer.operator(Code.AVERAGE_POOL_2D, writer.int8_version(2), writer.inputs(op), writer.output(op), options)


def _write_pad(writer: _Writer, op: Pad) -> None:
    amounts = channel_last(op.amounts) if len(op.amounts) == 3 else op.amounts  # type: ignore[arg-type]
    by = writer.constant(f"{op.name}/paddings", np.array(((0, 0), *amounts), np.int32))
    inputs = [*writer.inputs(op), by]
    writer.operator(Code.PAD, writer.int8_version(2), inputs, writer.output(op), schema.PadOptionsT())


def _write_slice(writer: _Writer, op: Slice) -> None:
    ranges = channel_last(op.ranges) if len(op.ranges) == 3 else op.ranges  # type: ignore[arg-type]
    rows = np.array(((0, 0, 1), *ranges), np.int32)
    names = ("begin", "end", "strides")
    arrays = [writer.constant(f"{op.name}/{name}", rows[:, i].copy()) for i, name in enumerate(names)]
    options = schema.StridedSliceOptionsT()
    options.beginMask = options.endMask = 1  # the whole batch
    writer.operator(
        Code.STRIDED_SLICE, writer.int8_version(2), [*writer.inputs(op), *arrays], writer.output(op), options
    )


def _write_reshape(writer: _Writer, op: Reshape) -> None:
    before, after = writer.graph.tensors[op.inputs[0]], writer.graph.tensors[op.output]
    source = writer.activation(before)
    reordered = len(before.shape) == 3 and before.shape[0] > 1 and before.shape[1] * before.shape[2] > 1
    into_linear = len(after.shape) == 1 and after.name != writer.graph.output
    if reordered and into_linear and all(isinstance(c, Linear) for c in writer.graph.consumers(after.name)):
        writer.permuted.add(after.name)
    elif reordered:
        source = _transpose(writer, op.name, "channel_first", before, source, (0, 3, 1, 2), before.shape)
    back = len(after.shape) == 3 and after.shape[0] > 1 and after.shape[1] * after.shape[2] > 1
    if not back:
        _reshape(writer, op.name, source, writer.output(op), channel_last(after.shape))
        return
    flat = writer.activation(after, f"{op.name}/channel_first_out", after.shape)
    _reshape(writer, op.name, source, flat, after.shape)
    _transpose(writer, op.name, None, after, flat, (0, 2, 3, 1), channel_last(after.shape))


def _reshape(writer: _Writer, name: str, source: int, output: int, shape: tuple[int, ...]) -> None:
    target = np.array((-1, *shape), np.int32)
    options = schema.ReshapeOptionsT()
    options.newShape = target
    inputs = [source, writer.constant(f"{name}/shape", target)]
    writer.operator(Code.RESHAPE, 1, inputs, output, options)


def _transpose(
    writer: _Writer,
    name: str,
    suffix: str | None,
    tensor: Tensor,
    source: int,
    order: tuple[int, ...],
    shape: tuple[int, ...],
) -> int:
    by = writer.constant(f"{name}/order{len(writer.tensors)}", np.array(order, np.int32))
    output = writer.activation(tensor, f"{name}/{suffix}" if suffix else None, shape)
    writer.operator(Code.TRANSPOSE, writer.int8_version(2), [source, by], output, schema.TransposeOptionsT())
    return output


WRITERS: dict[type[Operator], Callable[[_Writer, Any], None]] = {
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
