"""What a TFLite file holds, for the readers of its operators; offsets, sizes and indices are checked before use.

The flatbuffer schema's classes read lazily and trust what they read. So lengths are held against the size of the file
first, and what they raise on offsets that lead nowhere becomes one error.
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
"""Of one tensor: an activation of more would need more memory than any device here has."""
MOST_AXES = 8
LONGEST_NAME = 100
BUFFER_OFFSET, BUFFER_SIZE = 6, 8
"""Slots of a buffer whose data lies behind the flatbuffer, in files of more than 2 GB; the schema's classes have none
for them."""
AGAIN = "copy the file once more, or convert it anew"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the file describes it.

    Attributes:
        shape: with the batch, which is 1 where the file leaves it open.
        open_axes: those, beside the batch, whose length the file leaves open.
        dtype: None for a type that no operator of the graph works on; `type_name` has it all the same.
        scales, zero_points: (0,), (1,) or (channels,); `axis` is that of the channels.
        values: of a constant.
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
        index: its place among the file's operators.
        inputs: indices of tensors; -1 for one that is left out.
        table: the schema's class of its options by their type, or None where the file has none.
    """

    index: int
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    makes: str
    options_type: int
    table: Any

    def __str__(self) -> str:
        return f"operator {self.index} ({CODE_NAMES[self.code]}, which makes {self.makes})"

    def options(self, kind: Any) -> Any:
        """Its options, of the schema's object class `kind`; the schema's defaults where the file has none."""
        if not self.options_type or self.table is None:
            return kind()
        if self.options_type != getattr(schema.BuiltinOptions, kind.__name__.removesuffix("T")):
            raise damaged(f"{self} has the options of another operator")
        reader = getattr(schema, kind.__name__.removesuffix("T"))()
        reader.Init(self.table.Bytes, self.table.Pos)
        return kind.InitFromObj(reader)

    def refused(self, why: str, remedy: str) -> UnsupportedOperatorError:
        """The error for a form of it that the graph does not have."""
        return UnsupportedOperatorError(f"{self} {why}", remedy)


@dataclass(frozen=True)
class Content:
    """The main subgraph of a file."""

    tensors: tuple[StoredTensor, ...]
    operators: tuple[StoredOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def damaged(what: str) -> ModelError:
    """The error for a file that contradicts itself."""
    return ModelError(f"it is damaged: {what}", AGAIN)


@contextmanager
def only_model_errors() -> Iterator[None]:
    """Turn what the schema's classes and NumPy raise on nonsense into a ModelError."""
    try:
        yield
    except (
        struct.error, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, MemoryError,
        RecursionError, NotImplementedError,
    ) as error:  # fmt: skip
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise damaged(f"it can't be followed ({why})") from error


def parse(content: bytes) -> Content:
    """The main subgraph of a file's bytes.

    Raises:
        ModelError: the bytes are no TFLite file, or a damaged one.
        UnsupportedOperatorError: it has more than edgekd reads: operators of the user's own, or other subgraphs.
    """
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise ModelError("it is no TFLite file: its identifier is missing", "name a .tflite file")
    model = schema.Model.GetRootAs(content, 0)
    counts = (model.SubgraphsLength(), model.OperatorCodesLength(), model.BuffersLength(), model.MetadataLength())
    for count in counts:
        _check_count(count, content)
    if not counts[0]:
        raise damaged("it holds no subgraph")
    for i in range(1, counts[0]):
        if model.Subgraphs(i).OperatorsLength():
            name = _text(model.Subgraphs(i).Name()) or str(i)
            raise UnsupportedOperatorError(
                f"subgraph {name} holds operators beside the main one's; edgekd reads files of one network",
                "convert one signature alone, without control flow",
            )
    main = model.Subgraphs(0)
    for count in (main.TensorsLength(), main.OperatorsLength()):
        _check_count(count, content)
    tensors = tuple(_tensor(model, main.Tensors(i), i, content) for i in range(main.TensorsLength()))
    operators = tuple(_operator(model, main.Operators(i), i, tensors) for i in range(main.OperatorsLength()))
    inputs, outputs = (
        _indices(vector, len(tensors), "the network")
        for vector in (main.InputsAsNumpy(), main.OutputsAsNumpy())
    )  # fmt: skip
    if not inputs or not outputs or -1 in (*inputs, *outputs):
        raise damaged("it has no input or no output")
    return Content(tensors, operators, inputs, outputs)


def _check_count(count: int, content: bytes) -> None:
    """An entry of a vector takes four bytes at least."""
    if count * 4 > len(content):
        raise damaged(f"a list of {count:,} entries does not fit in it")


def _text(value: bytes | None) -> str:
    """At most LONGEST_NAME characters in one line."""
    return "" if value is None else " ".join(value[: 4 * LONGEST_NAME].decode(errors="replace").split())[:LONGEST_NAME]


def _vector(value: Any) -> Array:
    """A vector of numbers; the schema's classes say 0 where there is none."""
    return value if isinstance(value, np.ndarray) else np.zeros(0, np.int64)


def _indices(value: Any, tensors: int, whose: str) -> tuple[int, ...]:
    indices = tuple(int(i) for i in _vector(value))
    if any(not -1 <= i < tensors for i in indices):
        raise damaged(f"{whose} names a tensor that is not there")
    return indices


def _tensor(model: Any, table: Any, index: int, content: bytes) -> StoredTensor:
    name = _text(table.Name()).partition(";")[0] or f"tensor_{index}"  # TensorFlow joins the names that it fuses
    shape = [int(n) for n in _vector(table.ShapeAsNumpy())]
    signature = [int(n) for n in _vector(table.ShapeSignatureAsNumpy())]
    signature = signature if len(signature) == len(shape) else shape
    open_axes = tuple(axis for axis, n in enumerate(signature) if n == -1)
    shape = [1 if axis in open_axes and n < 1 else n for axis, n in enumerate(shape)]
    if len(shape) > MOST_AXES:
        raise damaged(f"tensor {name} has {len(shape)} axes")
    if any(n < 1 for n in shape) or prod(shape) > MOST_ELEMENTS:
        raise damaged(f"tensor {name} has the shape {tuple(shape)}")
    if table.IsVariable():
        raise UnsupportedOperatorError(f"tensor {name} keeps a state between inferences", "unroll the network in time")
    if table.Sparsity() is not None:
        raise UnsupportedOperatorError(f"tensor {name} is stored sparsely", "convert without sparsity")
    dtype = DTYPES.get(table.Type())
    data = _data(model, table.Buffer(), name, content)
    values = None
    if data is not None and dtype is not None:
        if len(data) != prod(shape) * dtype.itemsize:
            raise damaged(f"tensor {name} has {len(data):,} bytes, {prod(shape) * dtype.itemsize:,} by its shape")
        values = np.frombuffer(data, dtype).reshape(shape).copy()
    scales, zero_points, axis = _scales(table, name)
    type_name = TYPE_NAMES.get(table.Type(), str(table.Type()))
    open_beside_batch = tuple(axis for axis in open_axes if axis)
    return StoredTensor(name, tuple(shape), open_beside_batch, dtype, type_name, scales, zero_points, axis, values)


def _data(model: Any, index: int, name: str, content: bytes) -> Any:
    """The bytes of a constant; None for a tensor that is computed."""
    if not index:
        return None
    if index >= model.BuffersLength():
        raise damaged(f"tensor {name} names a buffer that is not there")
    buffer = model.Buffers(index)
    data = _vector(buffer.DataAsNumpy())
    if data.size:
        return data.tobytes()
    offset, size = (_unsigned(buffer, slot) for slot in (BUFFER_OFFSET, BUFFER_SIZE))
    if offset <= 1 or not size:  # 1 stands for an offset that was never filled in
        return None
    if offset + size > len(content):
        raise damaged(f"the values of tensor {name} lie behind its end")
    return content[offset : offset + size]


def _unsigned(buffer: Any, slot: int) -> int:
    table = buffer._tab
    place = table.Offset(slot)
    return int(table.Get(flatbuffers.number_types.Uint64Flags, place + table.Pos)) if place else 0


def _scales(table: Any, name: str) -> tuple[Array, Array, int]:
    parameters = table.Quantization()
    if parameters is None:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    scales = _vector(parameters.ScaleAsNumpy()).astype(np.float32)
    zero_points = _vector(parameters.ZeroPointAsNumpy()).astype(np.int64)
    if not zero_points.size:
        zero_points = np.zeros(len(scales), np.int64)
    if len(zero_points) not in (1, len(scales)):
        raise damaged(f"tensor {name} has {len(scales)} scales and {len(zero_points)} zero points")
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise damaged(f"tensor {name} has a scale that is not above zero")
    return scales, np.broadcast_to(zero_points, scales.shape), int(parameters.QuantizedDimension())


def _operator(model: Any, table: Any, index: int, tensors: tuple[StoredTensor, ...]) -> StoredOperator:
    place = table.OpcodeIndex()
    if place >= model.OperatorCodesLength():
        raise damaged(f"operator {index} has a code that is not there")
    row = model.OperatorCodes(place)
    code = max(row.BuiltinCode(), row.DeprecatedBuiltinCode())  # old files have the latter alone, new ones both
    if code not in CODE_NAMES:
        raise damaged(f"operator {index} has the unknown code {code}")
    whose = f"operator {index} ({CODE_NAMES[code]})"
    inputs, outputs = (_indices(v, len(tensors), whose) for v in (table.InputsAsNumpy(), table.OutputsAsNumpy()))
    if not outputs or -1 in outputs:
        raise damaged(f"{whose} makes no tensor")
    makes = tensors[outputs[0]].name
    if code == schema.BuiltinOperator.CUSTOM:
        raise UnsupportedOperatorError(
            f"operator {index} (custom {_text(row.CustomCode())}, which makes {makes}) is no operator of TFLite",
            "convert the network without custom operators",
        )
    return StoredOperator(index, code, inputs, outputs, makes, table.BuiltinOptionsType(), table.BuiltinOptions())
