"""Gives the readers of operators the tensors and operators of a TFLite file, with checked offsets, sizes and indices.

The flatbuffer schema's classes read lazily and do not check what they read. So lengths are compared with the size of
the file first, and the exceptions that those classes raise on wrong offsets become one error.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.formats.tflite.packing import TYPES
from edgekd.graph.structure import Array

DTYPES: dict[int, Any] = {code: dtype for dtype, code in TYPES.items()}
TYPE_NAMES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
CODE_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
IDENTIFIER = b"TFL3"
MOST_ELEMENTS = 2**26
"""The largest number of elements of one tensor; more would need more memory than any supported device has."""
MOST_AXES = 8
LONGEST_NAME = 100
BUFFER_OFFSET, BUFFER_SIZE = 6, 8
"""The slots of a buffer's offset and size in a file of more than 2 GB, whose data lies behind the flatbuffer; the
schema's classes have no accessors for them."""
CONVERT_AGAIN = "copy the file once more, or convert it anew"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the file describes it.

    Attributes:
        name: the tensor's name.
        shape: the length of each axis with the batch, which is 1 where the file leaves it open.
        open_axes: the axes, apart from the batch, whose length the file leaves open.
        dtype: the NumPy dtype, or None for a type that no operator of the graph works on.
        type_name: the schema's name of the type.
        scales: the scales of the codes, of shape (0,), (1,) or (channels,).
        zero_points: the zero points of the codes, of the same shape as the scales.
        axis: the axis of the channels that the scales belong to.
        values: the values of a constant, or None.
    """

    name: str
    shape: tuple[int, ...]
    open_axes: tuple[int, ...]
    dtype: np.dtype[Any] | None
    type_name: str
    scales: Array
    zero_points: Array
    axis: int
    values: Array | None


@dataclass(frozen=True)
class StoredOperator:
    """An operator as the file describes it.

    Attributes:
        index: the operator's place among the file's operators.
        code: the schema's BuiltinOperator code.
        inputs: the indices of the input tensors; -1 for an optional input that is missing.
        outputs: the indices of the output tensors.
        output_name: the name of the first output.
        options_type: the schema's BuiltinOptions type, or 0 where the file has no options.
        table: the flatbuffer table of the options, or None where the file has no options.
    """

    index: int
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_name: str
    options_type: int
    table: Any

    def __str__(self) -> str:
        return f"operator {self.index} ({CODE_NAMES[self.code]}, which makes {self.output_name})"

    def options(self, kind: Any) -> Any:
        """Return the options as the schema's object class `kind`; a missing option has the schema's default."""
        if not self.options_type or self.table is None:
            return kind()
        if self.options_type != getattr(schema.BuiltinOptions, kind.__name__.removesuffix("T")):
            raise damage_error(f"{self} has the options of another operator")
        reader = getattr(schema, kind.__name__.removesuffix("T"))()
        reader.Init(self.table.Bytes, self.table.Pos)
        return kind.InitFromObj(reader)

    def refusal(self, reason: str, remedy: str) -> UnsupportedOperatorError:
        """Return the error for an operator that the graph has no form for."""
        return UnsupportedOperatorError(f"{self} {reason}", remedy)


@dataclass(frozen=True)
class Content:
    """The main subgraph of a file; its inputs and outputs are indices of tensors."""

    tensors: tuple[StoredTensor, ...]
    operators: tuple[StoredOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def damage_error(what: str) -> ModelError:
    """Return the error for a file that contradicts itself."""
    return ModelError(f"it is damaged: {what}", CONVERT_AGAIN)


@contextmanager
def only_model_errors() -> Iterator[None]:
    """Turn the exceptions that the schema's classes and NumPy raise on damaged files into a ModelError."""
    try:
        yield
    except (
        struct.error, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, MemoryError,
        RecursionError, NotImplementedError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise damage_error(f"it can't be followed ({reason})") from error


def parse(content: bytes) -> Content:
    """Return the main subgraph of a file's bytes.

    Raises:
        ModelError: the bytes are no TFLite file, or a damaged one.
        UnsupportedOperatorError: the file has custom operators or several subgraphs with operators.
    """
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise ModelError("it is no TFLite file: its identifier is missing", "name a .tflite file")
    model = schema.Model.GetRootAs(content, 0)
    counts = (model.SubgraphsLength(), model.OperatorCodesLength(), model.BuffersLength(), model.MetadataLength())
    for count in counts:
        _check_count(count, content)
    if not counts[0]:
        raise damage_error("it holds no subgraph")
    for i in range(1, counts[0]):
        if model.Subgraphs(i).OperatorsLength():
            name = _one_line(model.Subgraphs(i).Name()) or str(i)
            raise UnsupportedOperatorError(
                f"subgraph {name} holds operators beside the main one's; edgekd reads files of one network",
                "convert one signature alone, without control flow",
            )
    main = model.Subgraphs(0)
    for count in (main.TensorsLength(), main.OperatorsLength()):
        _check_count(count, content)
    tensors = tuple(_read_tensor(model, main.Tensors(i), i, content) for i in range(main.TensorsLength()))
    operators = tuple(_read_operator(model, main.Operators(i), i, tensors) for i in range(main.OperatorsLength()))
    inputs, outputs = (
        _tensor_indices(vector, len(tensors), "the network")
        for vector in (main.InputsAsNumpy(), main.OutputsAsNumpy())
    )  # fmt: skip
    if not inputs or not outputs or -1 in (*inputs, *outputs):
        raise damage_error("it has no input or no output")
    return Content(tensors, operators, inputs, outputs)


def _check_count(count: int, content: bytes) -> None:
    """Refuse a vector that does not fit in the file: each of its entries takes at least four bytes."""
    if count * 4 > len(content):
        raise damage_error(f"a list of {count:,} entries does not fit in it")


def _one_line(value: bytes | None) -> str:
    """Return a stored string as one line of at most LONGEST_NAME characters."""
    return "" if value is None else " ".join(value[: 4 * LONGEST_NAME].decode(errors="replace").split())[:LONGEST_NAME]


def _number_array(value: Any) -> Array:
    """Return a vector of numbers as an array, which is empty for the 0 that the schema's classes return without one."""
    return value if isinstance(value, np.ndarray) else np.zeros(0, np.int64)


def _tensor_indices(value: Any, tensors: int, owner: str) -> tuple[int, ...]:
    indices = tuple(int(i) for i in _number_array(value))
    if any(not -1 <= i < tensors for i in indices):
        raise damage_error(f"{owner} names a tensor that is not there")
    return indices


def _read_tensor(model: Any, table: Any, index: int, content: bytes) -> StoredTensor:
    # TensorFlow joins the names of fused operators with semicolons.
    name = _one_line(table.Name()).partition(";")[0] or f"tensor_{index}"
    shape = [int(n) for n in _number_array(table.ShapeAsNumpy())]
    signature = [int(n) for n in _number_array(table.ShapeSignatureAsNumpy())]
    signature = signature if len(signature) == len(shape) else shape
    open_axes = tuple(axis for axis, n in enumerate(signature) if n == -1)
    shape = [1 if axis in open_axes and n < 1 else n for axis, n in enumerate(shape)]
    if len(shape) > MOST_AXES:
        raise damage_error(f"tensor {name} has {len(shape)} axes")
    if any(n < 1 for n in shape) or prod(shape) > MOST_ELEMENTS:
        raise damage_error(f"tensor {name} has the shape {tuple(shape)}")
    if table.IsVariable():
        raise UnsupportedOperatorError(f"tensor {name} keeps a state between inferences", "unroll the network in time")
    if table.Sparsity() is not None:
        raise UnsupportedOperatorError(f"tensor {name} is stored sparsely", "convert without sparsity")
    dtype = DTYPES.get(table.Type())
    data = _constant_bytes(model, table.Buffer(), name, content)
    values = None
    if data is not None and dtype is not None:
        if len(data) != prod(shape) * dtype.itemsize:
            raise damage_error(f"tensor {name} has {len(data):,} bytes, {prod(shape) * dtype.itemsize:,} by its shape")
        values = np.frombuffer(data, dtype).reshape(shape).copy()
    scales, zero_points, axis = _read_scales(table, name)
    type_name = TYPE_NAMES.get(table.Type(), str(table.Type()))
    open_axes_without_batch = tuple(axis for axis in open_axes if axis)
    return StoredTensor(
        name, tuple(shape), open_axes_without_batch, dtype, type_name, scales, zero_points, axis, values
    )


def _constant_bytes(model: Any, index: int, name: str, content: bytes) -> Any:
    """Return the bytes of a constant, or None for a tensor that an operator computes."""
    if not index:
        return None
    if index >= model.BuffersLength():
        raise damage_error(f"tensor {name} names a buffer that is not there")
    buffer = model.Buffers(index)
    data = _number_array(buffer.DataAsNumpy())
    if data.size:
        return data.tobytes()
    offset, size = (_read_uint64(buffer, slot) for slot in (BUFFER_OFFSET, BUFFER_SIZE))
    if offset <= 1 or not size:  # an offset of 1 is a placeholder
        return None
    if offset + size > len(content):
        raise damage_error(f"the values of tensor {name} lie behind its end")
    return content[offset : offset + size]


def _read_uint64(buffer: Any, slot: int) -> int:
    table = buffer._tab
    offset = table.Offset(slot)
    return int(table.Get(flatbuffers.number_types.Uint64Flags, offset + table.Pos)) if offset else 0


def _read_scales(table: Any, name: str) -> tuple[Array, Array, int]:
    parameters = table.Quantization()
    if parameters is None:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    scales = _number_array(parameters.ScaleAsNumpy()).astype(np.float32)
    zero_points = _number_array(parameters.ZeroPointAsNumpy()).astype(np.int64)
    if not zero_points.size:
        zero_points = np.zeros(len(scales), np.int64)
    if len(zero_points) not in (1, len(scales)):
        raise damage_error(f"tensor {name} has {len(scales)} scales and {len(zero_points)} zero points")
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise damage_error(f"tensor {name} has a scale that is not above zero")
    return scales, np.broadcast_to(zero_points, scales.shape), int(parameters.QuantizedDimension())


def _read_operator(model: Any, table: Any, index: int, tensors: tuple[StoredTensor, ...]) -> StoredOperator:
    code_index = table.OpcodeIndex()
    if code_index >= model.OperatorCodesLength():
        raise damage_error(f"operator {index} has a code that is not there")
    operator_code = model.OperatorCodes(code_index)
    # Old files store only the deprecated code, new files store both.
    code = max(operator_code.BuiltinCode(), operator_code.DeprecatedBuiltinCode())
    if code not in CODE_NAMES:
        raise damage_error(f"operator {index} has the unknown code {code}")
    owner = f"operator {index} ({CODE_NAMES[code]})"
    inputs, outputs = (_tensor_indices(v, len(tensors), owner) for v in (table.InputsAsNumpy(), table.OutputsAsNumpy()))
    if not outputs or -1 in outputs:
        raise damage_error(f"{owner} makes no tensor")
    output_name = tensors[outputs[0]].name
    if code == schema.BuiltinOperator.CUSTOM:
        custom = _one_line(operator_code.CustomCode())
        raise UnsupportedOperatorError(
            f"operator {index} (custom {custom}, which makes {output_name}) is no operator of TFLite",
            "convert the network without custom operators",
        )
    return StoredOperator(index, code, inputs, outputs, output_name, table.BuiltinOptionsType(), table.BuiltinOptions())
