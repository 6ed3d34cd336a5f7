"""Collects the tensors, aligned buffers, operators and metadata of a TFLite file and packs them by the schema."""

from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.graph.structure import Array, Quantization

TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}
Code = schema.BuiltinOperator
WIDE_VERSIONS = {
    Code.CONV_2D: 4,
    Code.DEPTHWISE_CONV_2D: 5,
    Code.FULLY_CONNECTED: 7,
    Code.ADD: 4,
    Code.SUB: 5,
    Code.MUL: 4,
    Code.AVERAGE_POOL_2D: 3,
    Code.MAX_POOL_2D: 3,
    Code.CONCATENATION: 3,
    Code.TRANSPOSE: 4,
    Code.SLICE: 4,
    Code.STRIDED_SLICE: 4,
    Code.QUANTIZE: 2,
}
"""The first version of each operator that takes int16 activations, where that for int8 is older."""
ALIGNMENT = 16
"""The alignment of a buffer's data in bytes, `force_align` in the schema."""


class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data is aligned to ALIGNMENT bytes, which the generated class does not do."""

    def Pack(self, builder: Any) -> int:
        """Write the buffer and return its offset."""
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


class SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that stores equal vectors of integers once, as the format allows.

    Such vectors are shapes, and above all the zero points of channels, eight bytes each, which are zero in every weight
    and bias. Scales and the zero point of an activation come from training: if they were shared where they happen to be
    equal, the size of a file would not be known before training.
    """

    def __init__(self) -> None:
        super().__init__(1024)
        self.offsets: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: Array) -> int:
        """Write a vector, unless an equal one is there, and return its offset."""
        if x.dtype.kind == "f" or len(x) == 1:
            return int(super().CreateNumpyVector(x))
        key = (x.dtype.str, x.tobytes())
        if key not in self.offsets:
            self.offsets[key] = super().CreateNumpyVector(x)
        return self.offsets[key]


class Parts:
    """Tensors, buffers and operators of one file, by index."""

    def __init__(self) -> None:
        self.buffers: list[AlignedBuffer] = [AlignedBuffer()]  # the first is empty, by the schema
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[tuple[int, int]] = []
        self.constants: dict[tuple[Any, ...], int] = {}

    def tensor(self, name: str, shape: tuple[int, ...], dtype: Any, buffer: int, scale: Any) -> int:
        """Add a tensor and return its index; buffer 0 is for tensors that operators compute."""
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer, tensor.quantization = (
            name,
            TYPES[np.dtype(dtype)],
            buffer,
            scale,
        )
        tensor.shape = np.array(shape, np.int32)
        tensor.hasRank = True
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(self, code: int, version: int, inputs: list[int], output: int, options: Any = None) -> None:
        """Add an operator of one output; with int16 tensors its version becomes that for int16 activations."""
        if any(self.tensors[i].type == schema.TensorType.INT16 for i in (*inputs, output)):
            version = max(version, WIDE_VERSIONS.get(code, version))
        key = (code, version)
        if key not in self.codes:
            self.codes.append(key)
        entry = schema.OperatorT()
        entry.opcodeIndex = self.codes.index(key)
        entry.inputs, entry.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if options is not None:
            entry.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            entry.builtinOptions = options
        self.operators.append(entry)

    def constant(self, name: str, values: Array, scale: Any = None) -> int:
        """Add a constant and return its index; constants with equal values and scales are stored once."""
        data = np.ascontiguousarray(values).tobytes()
        key = (data, values.dtype.str, values.shape, _scale_bytes(scale))
        if key not in self.constants:
            buffer = AlignedBuffer()
            buffer.data = data
            self.buffers.append(buffer)
            self.constants[key] = self.tensor(name, values.shape, values.dtype, len(self.buffers) - 1, scale)
        return self.constants[key]

    def pack(self, inputs: dict[str, int], outputs: dict[str, int], metadata: Mapping[str, str | bytes]) -> bytes:
        """Return the bytes of the file; inputs and outputs are by their names in its signature."""
        subgraph = schema.SubGraphT()
        subgraph.name, subgraph.tensors, subgraph.operators = "main", self.tensors, self.operators
        subgraph.inputs = np.array([*inputs.values()], np.int32)
        subgraph.outputs = np.array([*outputs.values()], np.int32)
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = (
            [_tensor_map(*end) for end in ends.items()] for ends in (inputs, outputs)
        )
        model = schema.ModelT()
        model.version, model.description = 3, "edgekd"
        model.subgraphs, model.buffers, model.signatureDefs = [subgraph], self.buffers, [signature]
        model.operatorCodes = [_operator_code(*key) for key in self.codes]
        model.metadata = [self._metadata(name, content) for name, content in metadata.items()]
        builder = SharingBuilder()
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _metadata(self, name: str, content: str | bytes) -> Any:
        buffer = AlignedBuffer()
        buffer.data = content.encode() if isinstance(content, str) else content
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
    """The bytes of a quantization, by which it is compared."""
    if quantization is None:
        return b""
    return bytes(quantization.scale.tobytes() + quantization.zeroPoint.tobytes())


def quantization(quantization: Quantization) -> Any:
    """The schema's parameters for one scale and zero point."""
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.array([quantization.scale], np.float32)
    parameters.zeroPoint = np.array([quantization.zero_point], np.int64)
    return parameters


def per_channel(scale: Array, axis: int) -> Any:
    """The schema's parameters for scales along an axis, with zero points of 0."""
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.quantizedDimension = scale, axis
    parameters.zeroPoint = np.zeros(len(scale), np.int64)
    return parameters
