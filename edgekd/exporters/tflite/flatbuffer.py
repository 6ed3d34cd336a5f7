"""The parts of a TFLite file: tensors, aligned buffers, operators, metadata; packed by the flatbuffer schema."""

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.exporters.metadata import roles
from edgekd.graph.ops import Conv2d, MaxPool2d
from edgekd.graph.structure import Activation, Array, Graph, Operator, Quantization, Tensor, Weighted
from edgekd.graph.windows import tflite_padding

Code = schema.BuiltinOperator
TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}
ACTIVATIONS: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
ALIGNMENT = 16
"""Of a buffer's data, in bytes: `force_align` in the schema."""


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


Writer = Callable[["FlatbufferFile", Any], None]


class FlatbufferFile:
    """Collects tensors, buffers and operators of one file."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.buffers: list[AlignedBuffer] = [AlignedBuffer()]  # the first is empty, by the schema
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[tuple[int, int]] = []
        self.index: dict[str, int] = {}
        self.permuted: set[str] = set()  # flattened tensors that hold channel-last order
        self.constants: dict[tuple[Any, ...], int] = {}
        for name in graph.inputs:
            self.activation(graph.tensors[name])

    def activation(self, tensor: Tensor, name: str | None = None, shape: tuple[int, ...] | None = None) -> int:
        """The index of a tensor between operators, made at its first use."""
        name = name or tensor.name
        if name not in self.index:
            dtype = np.dtype(np.int8 if tensor.quantization else np.int32 if tensor.kind == "index" else np.float32)
            quantized = _quantization(tensor.quantization) if tensor.quantization else None
            shape = channel_last(tensor.shape) if shape is None else shape
            self.index[name] = self._tensor(name, (1, *shape), dtype, 0, quantized)
        return self.index[name]

    def constant(self, name: str, values: Array, quantization: Any = None) -> int:
        """The index of a tensor whose values stand in the file; equal ones on equal scales stand there once."""
        data = np.ascontiguousarray(values).tobytes()
        key = (data, values.dtype.str, values.shape, _scale_bytes(quantization))
        if key not in self.constants:
            buffer = AlignedBuffer()
            buffer.data = data
            self.buffers.append(buffer)
            self.constants[key] = self._tensor(name, values.shape, values.dtype, len(self.buffers) - 1, quantization)
        return self.constants[key]

    def stored(self, tensor: str, values: Array) -> None:
        """Let a tensor of the graph stand in the file, with a batch of one."""
        found = self.graph.tensors[tensor]
        values = values.transpose(1, 2, 0) if values.ndim == 3 else values
        quantized = _quantization(found.quantization) if found.quantization else None
        self.index[tensor] = self.constant(tensor, values[None], quantized)

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

    def version(self, op: Operator, quantized: int) -> int:
        """The operator's version: 1 in float, `quantized` in int8."""
        return quantized if self.graph.tensors[op.inputs[0]].quantization else 1

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
        return self.pad(op, tensor, source, ((0, 0), (top, bottom), (left, right))), schema.Padding.VALID

    def pad(self, op: Operator, tensor: Tensor, source: int, amounts: tuple[tuple[int, int], ...]) -> int:
        """Write a PAD of (before, after) for each axis of (C, H, W); the index of what it gives."""
        shape = tuple(n + before + after for n, (before, after) in zip(tensor.shape, amounts, strict=True))
        rows = ((0, 0), *channel_last(amounts))  # type: ignore[arg-type]
        by = self.constant(f"{op.name}/paddings", np.array(rows, np.int32))
        padded = self.activation(Tensor(op.name, shape, tensor.quantization), f"{op.name}/padded")
        self.operator(Code.PAD, self.version(op, 2), [source, by], padded, schema.PadOptionsT())
        return padded

    def finish(self, metadata: dict[str, str]) -> bytes:
        subgraph = schema.SubGraphT()
        subgraph.name, subgraph.tensors, subgraph.operators = "main", self.tensors, self.operators
        subgraph.inputs = np.array([self.index[name] for name in self.graph.inputs], np.int32)
        subgraph.outputs = np.array([self.index[name] for name in self.graph.outputs], np.int32)
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
        signature.inputs = [_tensor_map(role, self.index[name]) for role, name in roles("input", self.graph.inputs)]
        signature.outputs = [_tensor_map(role, self.index[name]) for role, name in roles("output", self.graph.outputs)]
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


def _scale_bytes(quantization: Any) -> bytes:
    """What tells two quantizations apart."""
    if quantization is None:
        return b""
    return bytes(quantization.scale.tobytes() + quantization.zeroPoint.tobytes())


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
