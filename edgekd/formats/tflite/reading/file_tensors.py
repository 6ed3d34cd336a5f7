"""Gives the readers of operators the shapes, types, scales and constants of a file's tensors, and checks them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import Content, StoredOperator, damage_error
from edgekd.graph.structure import Activation, Array, Quantization

Axes = tuple[int | None, ...]
"""The file's axis for each axis of a tensor of the graph; None for an axis of length 1 that the file's tensor lacks."""

Shape = tuple[int, ...]
Code = schema.BuiltinOperator
ACTIVATIONS: dict[int, Activation] = {
    schema.ActivationFunctionType.NONE: "none",
    schema.ActivationFunctionType.RELU: "relu",
    schema.ActivationFunctionType.RELU6: "relu6",
}
ACTIVATION_NAMES = {code: name for name, code in vars(schema.ActivationFunctionType).items() if isinstance(code, int)}
FULL_INTEGER = "convert it anew with full-integer quantization: int8 weights and activations"


class FileTensors:
    """The tensors of one file, whose shapes and constants become available operator by operator.

    Attributes:
        content: the main subgraph of the file.
        shapes: the shape, with the batch, of each tensor that has been read so far, by the tensor's index.
        values: the values of constants by the tensor's index: those that the file stores, and those that are computed
            from constants and shapes alone.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self.values = {i: t.values for i, t in enumerate(content.tensors) if t.values is not None}
        self.shapes: dict[int, Shape] = {i: content.tensors[i].shape for i in self.values}

    def name(self, tensor: int) -> str:
        """Return the name that the file gives the tensor."""
        return self.content.tensors[tensor].name

    def dtype(self, tensor: int) -> Any:
        """Return the NumPy dtype of the tensor."""
        return self.content.tensors[tensor].dtype

    def quantization(self, tensor: int) -> Quantization | None:
        """Return the scale and zero point of a tensor of codes, or None for real values and indices."""
        stored = self.content.tensors[tensor]
        if stored.dtype in (np.dtype(np.float32), np.dtype(np.int32)):
            return None
        if stored.dtype not in (np.dtype(np.int8), np.dtype(np.int16)) or len(stored.scales) != 1:
            raise damage_error(f"tensor {stored.name} is {stored.type_name} with {len(stored.scales)} scales")
        codes = Quantization(float(stored.scales[0]), int(stored.zero_points[0]), 8 if stored.dtype == np.int8 else 16)
        if not codes.lowest <= codes.zero_point <= codes.highest or (codes.bits == 16 and codes.zero_point):
            raise damage_error(f"tensor {stored.name} has the zero point {codes.zero_point}")
        return codes

    def codes(self, op: StoredOperator, tensor: int) -> Quantization:
        """Return the scale and zero point of a tensor, and refuse the operator if the tensor holds no codes."""
        codes = self.quantization(tensor)
        if codes is None:
            raise op.refusal(f"works on {self.content.tensors[tensor].type_name} values", FULL_INTEGER)
        return codes

    def check_types(self, op: StoredOperator) -> None:
        """Refuse types that no operator of the graph works on: uint8 codes, float16 and strings."""
        for tensor in (i for i in (*op.inputs, *op.outputs) if i >= 0):
            stored = self.content.tensors[tensor]
            if stored.dtype is None or (stored.dtype == np.uint8 and op.code != Code.QUANTIZE):
                raise op.refusal(f"works on {stored.name}, which is {stored.type_name}", FULL_INTEGER)

    def check_same_scale(self, op: StoredOperator, *tensors: int) -> None:
        """Refuse an operator that moves codes without rescaling them if its tensors differ in scale or zero point."""
        if len({self.quantization(tensor) for tensor in tensors}) > 1:
            raise op.refusal(
                "has an output on another scale than its input", "convert it anew: the 8-bit specification forbids that"
            )

    def constant(self, op: StoredOperator, place: int, what: str) -> Array:
        """Return the values of an operator's input, and refuse the operator if that input is not constant."""
        tensor = self.input(op, place)
        if tensor not in self.values:
            raise op.refusal(f"has {what} that another operator computes", f"store {what} as a constant")
        return self.values[tensor]

    def input(self, op: StoredOperator, place: int) -> int:
        """Return the tensor that is an operator's input, and raise an error if the operator lacks that input."""
        if place >= len(op.inputs) or op.inputs[place] < 0:
            raise damage_error(f"{op} has no input {place}")
        return op.inputs[place]

    def activation(self, op: StoredOperator, code: int) -> Activation:
        """Return the graph's name of a fused activation, and refuse one that the graph does not have."""
        if code not in ACTIVATIONS:
            name = ACTIVATION_NAMES.get(code, str(code))
            raise op.refusal(f"has the fused activation {name}", "RELU or RELU6 in its place")
        return ACTIVATIONS[code]

    def output_shape(self, op: StoredOperator, shape: Sequence[int], place: int = 0) -> Shape:
        """Record and return the shape of an operator's output; raise an error if the file has another shape."""
        tensor, shape = op.outputs[place], tuple(int(n) for n in shape)
        stored = self.content.tensors[tensor]
        pairs = zip(shape, stored.shape, strict=False)
        differs = any(n != m for axis, (n, m) in enumerate(pairs) if axis not in stored.open_axes)
        if len(shape) != len(stored.shape) or differs or any(n < 1 for n in shape):
            raise damage_error(f"{op} has an output of {shape}; the file says {stored.shape}")
        self.shapes[tensor] = shape
        return shape

    def file_axes(self, tensor: int) -> Axes:
        """Return all axes of a tensor in the file's order, without a batch of 1."""
        shape = self.shapes[tensor]
        return tuple(range(1 if len(shape) > 1 and shape[0] == 1 else 0, len(shape)))
