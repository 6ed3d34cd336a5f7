"""Builds for the tests TFLite files as other converters write them, tensor by tensor."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.packing import TYPES, AlignedBuffer

Code = schema.BuiltinOperator


@dataclass
class ForeignFile:
    """A TFLite file to which tensors and operators are added.

    Attributes:
        open_batch: whether the shape signatures of the tensors leave the batch size open.
        old_codes: whether operators have only the deprecated operator code.
        behind: whether constants are behind the flatbuffer, as in files of more than 2 GB.
    """

    open_batch: bool = False
    old_codes: bool = False
    behind: bool = False
    seed: int = 0
    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [AlignedBuffer()])
    operators: list[Any] = field(default_factory=list)
    codes: list[tuple[int, int]] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    far: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def tensor(
        self, shape: Sequence[int], scale: float | Sequence[float] = 0.05, zero_point: int = 3, dtype: Any = np.int8,
        values: np.ndarray | None = None, axis: int = 0,
    ) -> int:  # fmt: skip
        """Add a tensor and return its index; without quantization if `scale` is 0."""
        tensor = schema.TensorT()
        tensor.name, tensor.type = f"t{len(self.tensors)}", TYPES[np.dtype(dtype)]
        tensor.shape = np.array(shape, np.int32)
        tensor.buffer, scales = 0, np.atleast_1d(np.asarray(scale, np.float32))
        if scales[0]:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.quantizedDimension = scales, axis
            tensor.quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
        if self.open_batch and values is None and len(shape) > 1:
            tensor.shapeSignature = np.array((-1, *shape[1:]), np.int32)
        if values is not None:
            buffer = AlignedBuffer()
            if self.behind:
                self.far.append((len(self.buffers), np.ascontiguousarray(values, dtype).tobytes()))
            else:
                buffer.data = np.ascontiguousarray(values, dtype).tobytes()
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def input(self, shape: Sequence[int], scale: float = 0.05, zero_point: int = 3, dtype: Any = np.int8) -> int:
        self.inputs.append(self.tensor(shape, scale, zero_point, dtype))
        return self.inputs[-1]

    def numbers(self, *values: Any) -> int:
        """Add a constant of integers, such as a shape, axes or paddings, and return its index."""
        array = np.array(values[0] if len(values) == 1 else values, np.int32)
        return self.tensor(array.shape, 0, dtype=np.int32, values=array)

    def weights(self, shape: Sequence[int], channels: int | None = None, axis: int = 0, zero_point: int = 0) -> int:
        """Add random int8 weights with a scale for each of `channels`, or one for all; return their index."""
        scale = self.random.uniform(0.001, 0.02, channels) if channels else 0.01
        return self.tensor(shape, scale, zero_point, values=self.random.integers(-100, 100, shape), axis=axis)

    def bias(self, source: int, weight: int, outputs: int) -> int:
        """Add random biases whose scales are those of the input times the weights; return their index."""
        scales = self.tensors[source].quantization.scale * self.tensors[weight].quantization.scale
        return self.tensor((outputs,), scales, 0, np.int32, self.random.integers(-2000, 2000, outputs))

    def operator(self, code: int, inputs: Sequence[int], outputs: Sequence[int] | int, options: Any = None) -> Any:
        """Add an operator and return `outputs`; None as options writes none, as some converters do."""
        operator = schema.OperatorT()
        key = (code, VERSIONS.get(code, 2))
        self.codes += [] if key in self.codes else [key]
        operator.opcodeIndex, operator.inputs = self.codes.index(key), np.array(inputs, np.int32)
        operator.outputs = np.atleast_1d(np.array(outputs, np.int32))
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.operators.append(operator)
        return outputs

    def bytes(self, *outputs: int, subgraphs: Sequence[Any] = ()) -> bytes:
        main = schema.SubGraphT()
        main.name, main.tensors, main.operators = "main", self.tensors, self.operators
        main.inputs, main.outputs = np.array(self.inputs, np.int32), np.array(outputs, np.int32)
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [main, *subgraphs], self.buffers
        model.operatorCodes = [self._code(*key) for key in self.codes]
        if not self.far:
            return _packed(model)
        # The offsets of the data depend on the size of the flatbuffer, which does not depend on their values.
        for index, data in self.far:
            self.buffers[index] = FarBuffer(2, len(data))
        start, places = -(-len(_packed(model)) // 16) * 16, b""
        for index, data in self.far:
            self.buffers[index].offset = start + len(places)
            places += data + bytes(-len(data) % 16)
        return _packed(model).ljust(start, b"\0") + places

    def _code(self, code: int, version: int) -> Any:
        operator_code = schema.OperatorCodeT()
        operator_code.deprecatedBuiltinCode, operator_code.version = min(code, 127), version
        operator_code.builtinCode = 0 if self.old_codes else code
        return operator_code


VERSIONS = {Code.CONV_2D: 3, Code.DEPTHWISE_CONV_2D: 3, Code.FULLY_CONNECTED: 5, Code.TRANSPOSE_CONV: 3, Code.PRELU: 1,
            Code.HARD_SWISH: 1, Code.QUANTIZE: 1, Code.SHAPE: 1, Code.RESHAPE: 1, Code.ELU: 1, Code.SQUEEZE: 1,
            Code.EXPAND_DIMS: 1, Code.RESIZE_BILINEAR: 3, Code.RESIZE_NEAREST_NEIGHBOR: 3}  # fmt: skip
"""The versions of operators whose version is not 2."""


class FarBuffer(AlignedBuffer):
    """A buffer whose data is behind the flatbuffer; the generated class of the schema has no fields for that."""

    def __init__(self, offset: int, size: int) -> None:
        super().__init__()
        self.offset, self.size = offset, size

    def Pack(self, builder: Any) -> int:
        builder.StartObject(3)
        builder.PrependUint64Slot(1, self.offset, 0)
        builder.PrependUint64Slot(2, self.size, 0)
        return int(builder.EndObject())


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def options(kind: Any, **fields: Any) -> Any:
    """Return the schema's object for an operator's options with these fields."""
    table = kind()
    for name, value in fields.items():
        assert hasattr(table, name), name
        setattr(table, name, value)
    return table
