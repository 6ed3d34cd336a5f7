"""What the readers of operators call: a graph that grows, and in which order of axes it holds each tensor of the file.

A tensor of the file may stand in the graph in several forms: TFLite's images are channels last, the graph's first. A
transpose, or a reshape that only adds or drops axes of length 1, makes no operator: it renames the axes of the forms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import Content, StoredOperator, damaged
from edgekd.graph.ops import Constant, Relu, Reshape, Transpose
from edgekd.graph.structure import Activation, Array, Operator, Quantization, Tensor, Weighted

Axes = tuple[int | None, ...]
"""For each axis of a tensor of the graph the file's axis that it is; None for one of length 1 that the file lacks."""

Shape = tuple[int, ...]
Code = schema.BuiltinOperator
ACTIVATIONS: dict[int, Activation] = {
    schema.ActivationFunctionType.NONE: "none",
    schema.ActivationFunctionType.RELU: "relu",
    schema.ActivationFunctionType.RELU6: "relu6",
}
ACTIVATION_NAMES = {code: name for name, code in vars(schema.ActivationFunctionType).items() if isinstance(code, int)}
IMAGE: Axes = (3, 1, 2)
"""(N, H, W, C) as the graph has it: (C, H, W)."""
OUTER = (np.dtype(np.uint8), np.dtype(np.float32))
"""Of inputs that a QUANTIZE makes int8 codes of."""
FULL_INTEGER = "convert it anew with full-integer quantization: int8 weights and activations"


@dataclass(frozen=True)
class Form:
    """A tensor of the graph that holds a tensor of the file."""

    name: str
    axes: Axes


@dataclass(frozen=True)
class Rows:
    """Indices that the file makes of codes, to look them up in a table: `code + shift`."""

    source: int
    shift: int


class Network:
    """Collects the graph of one file.

    Attributes:
        shapes: of the file's tensors, by index; with the batch.
        values: constants, those of the file and those that follow from shapes alone.
        rows: indices that are made of codes.
        flattened: tensor -> the one that it is a plain reshape of, as long as nobody needed it in the graph.
        dequantized: tensor of real values, or of uint8 codes, -> the tensor of codes that it was made of.
        makers: tensor of the graph -> its operator.
        places: input -> which of torch's axes each of its axes is.
        input_codes: input that is no int8 -> the tensor that holds its codes.
        skipped: operators, by index, that another reader has read with its own.
        first_of: parameters in the file -> the first operator that has them.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self.shapes: dict[int, Shape] = {}
        self.values = {i: t.values for i, t in enumerate(content.tensors) if t.values is not None}
        self.shapes |= {i: content.tensors[i].shape for i in self.values}
        self.forms: dict[int, list[Form]] = {}
        self.rows: dict[int, Rows] = {}
        self.flattened: dict[int, int] = {}
        self.dequantized: dict[int, int] = {}
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.makers: dict[str, Operator] = {}
        self.places: dict[int, tuple[int, ...]] = {}
        self.input_codes: dict[int, int] = {}
        self.skipped: set[int] = set()
        self.first_of: dict[Any, str] = {}

    # What a tensor of the file is.

    def name(self, tensor: int) -> str:
        """Return the name that the file gives the tensor."""
        return self.content.tensors[tensor].name

    def dtype(self, tensor: int) -> Any:
        """Return the NumPy dtype of the tensor."""
        return self.content.tensors[tensor].dtype

    def quantization(self, tensor: int) -> Quantization | None:
        """Scale and zero point of codes; None for real values and indices."""
        stored = self.content.tensors[tensor]
        if stored.dtype in (np.dtype(np.float32), np.dtype(np.int32)):
            return None
        if stored.dtype not in (np.dtype(np.int8), np.dtype(np.int16)) or len(stored.scales) != 1:
            raise damaged(f"tensor {stored.name} is {stored.type_name} with {len(stored.scales)} scales")
        codes = Quantization(float(stored.scales[0]), int(stored.zero_points[0]), 8 if stored.dtype == np.int8 else 16)
        if not codes.lowest <= codes.zero_point <= codes.highest or (codes.bits == 16 and codes.zero_point):
            raise damaged(f"tensor {stored.name} has the zero point {codes.zero_point}")
        return codes

    def codes(self, op: StoredOperator, tensor: int) -> Quantization:
        """The same of an operator that has a form for codes alone."""
        codes = self.quantization(tensor)
        if codes is None:
            raise op.refused(f"works on {self.content.tensors[tensor].type_name} values", FULL_INTEGER)
        return codes

    def check_types(self, op: StoredOperator) -> None:
        """Refuse what no operator of the graph works on: uint8 codes, float16, strings."""
        for tensor in (i for i in (*op.inputs, *op.outputs) if i >= 0):
            stored = self.content.tensors[tensor]
            if stored.dtype is None or (stored.dtype == np.uint8 and op.code != Code.QUANTIZE):
                raise op.refused(f"works on {stored.name}, which is {stored.type_name}", FULL_INTEGER)

    def check_same_scale(self, op: StoredOperator, *tensors: int) -> None:
        """Of an operator that moves codes and does not rescale them."""
        if len({self.quantization(tensor) for tensor in tensors}) > 1:
            raise op.refused(
                "has an output on another scale than its input", "convert it anew: the 8-bit specification forbids that"
            )

    def constant(self, op: StoredOperator, place: int, what: str) -> Array:
        """The values of an input that has to be a constant."""
        tensor = self.input(op, place)
        if tensor not in self.values:
            raise op.refused(f"has {what} that another operator computes", f"store {what} as a constant")
        return self.values[tensor]

    def input(self, op: StoredOperator, place: int) -> int:
        """An input that has to be there."""
        if place >= len(op.inputs) or op.inputs[place] < 0:
            raise damaged(f"{op} has no input {place}")
        return op.inputs[place]

    def activation(self, op: StoredOperator, code: int) -> Activation:
        """A fused activation, as the graph calls it."""
        if code not in ACTIVATIONS:
            name = ACTIVATION_NAMES.get(code, str(code))
            raise op.refused(f"has the fused activation {name}", "RELU or RELU6 in its place")
        return ACTIVATIONS[code]

    def output_shape(self, op: StoredOperator, shape: Sequence[int], place: int = 0) -> Shape:
        """Note the shape that an operator's output has; refuse a file that says otherwise."""
        tensor, shape = op.outputs[place], tuple(int(n) for n in shape)
        stored = self.content.tensors[tensor]
        pairs = zip(shape, stored.shape, strict=False)
        differs = any(n != m for axis, (n, m) in enumerate(pairs) if axis not in stored.open_axes)
        if len(shape) != len(stored.shape) or differs or any(n < 1 for n in shape):
            raise damaged(f"{op} has an output of {shape}; the file says {stored.shape}")
        self.shapes[tensor] = shape
        return shape

    # Reading tensors in an order of axes.

    def plain_axes(self, tensor: int) -> Axes:
        """All axes as the file has them, but for a batch of 1."""
        shape = self.shapes[tensor]
        return tuple(range(1 if len(shape) > 1 and shape[0] == 1 else 0, len(shape)))

    def plain(self, tensor: int) -> str:
        """The graph's tensor that holds one of the file as the file has it."""
        return self.read(tensor, self.plain_axes(tensor))

    def image(self, op: StoredOperator, tensor: int) -> str:
        """The graph's tensor (C, H, W) that holds an image of the file."""
        shape = self.shapes[tensor]
        if len(shape) != 4 or shape[0] != 1:
            raise op.refused(f"works on a tensor of {shape}, a batch of {shape[0] if shape else 0}", "a batch of 1")
        return self.read(tensor, IMAGE)

    def axes(self, tensor: int) -> Axes:
        """Those of the first form that a tensor has in the graph."""
        self.materialise(tensor)
        return self.forms[tensor][0].axes if tensor in self.forms else self.plain_axes(tensor)

    def read(self, tensor: int, want: Axes) -> str:
        """The graph's tensor that holds one of the file with its axes in an order; moved there if it has to be."""
        if tensor in self.values:
            return self._stored(tensor, want)
        self.materialise(tensor)
        for form in self.forms[tensor]:
            if form.axes == want:
                return form.name
        form, shape = self.forms[tensor][0], self.shapes[tensor]
        have = [axis for axis in form.axes if axis is not None and shape[axis] > 1]
        long = [axis for axis in want if axis is not None and shape[axis] > 1]
        name = form.name
        if have != long:
            ones = [place for place, axis in enumerate(form.axes) if axis is None or shape[axis] == 1]
            places = {axis: place for place, axis in enumerate(form.axes)}
            order = [places[axis] for axis in long]
            if len(want) == len(form.axes):
                order = [places[axis] if axis in long else ones.pop(0) for axis in want]
            else:
                order = [*ones, *order]
            name = self._moved(name, tuple(order))
        target = tuple(1 if axis is None else shape[axis] for axis in want)
        name = self.reshaped(name, f"{self.name(tensor)}/reshaped", target, tensor)
        self.forms[tensor].append(Form(name, want))
        return name

    def _moved(self, name: str, order: tuple[int, ...]) -> str:
        tensor = self.tensors[name]
        output = self.unique(f"{name}/transposed")
        self.tensors[output] = replace(tensor, name=output, shape=tuple(tensor.shape[axis] for axis in order))
        self._append(Transpose(output, (name,), output, order))
        return output

    def _stored(self, tensor: int, want: Axes) -> str:
        """A constant as an operand."""
        for form in self.forms.get(tensor, []):
            if form.axes == want:
                return form.name
        values = self.values[tensor]
        own_axes = [axis for axis in want if axis is not None]
        rest = [axis for axis in range(values.ndim) if axis not in own_axes]
        shape = tuple(1 if axis is None else values.shape[axis] for axis in want)
        operand = np.ascontiguousarray(values.transpose(*rest, *own_axes).reshape(shape))
        name = self.add(lambda n, out: Constant(n, (), out, operand), self.name(tensor), shape, tensor)
        self.forms.setdefault(tensor, []).append(Form(name, want))
        return name

    def materialise(self, tensor: int) -> None:
        """Let a plain reshape, that was put off, stand in the graph."""
        source = self.flattened.pop(tensor, None)
        if source is None:
            return
        name, want = self.plain(source), self.plain_axes(tensor)
        shape = tuple(self.shapes[tensor][axis] for axis in want if axis is not None)
        output = self.add(lambda n, out: Reshape(n, (name,), out), self.name(tensor), shape, tensor)
        self.forms[tensor] = [Form(output, want)]

    def rename(self, op: StoredOperator, source: int, axes: dict[int, int | None], shape: Sequence[int]) -> None:
        """An output that holds the same values in the same order: `axes` says what each axis of the source becomes."""
        self.materialise(source)
        self.check_same_scale(op, source, op.outputs[0])
        self.output_shape(op, shape)
        self.forms[op.outputs[0]] = [
            Form(form.name, tuple(None if axis is None else axes.get(axis) for axis in form.axes))
            for form in self.forms[source]
        ]

    # Adding to the graph.

    def unique(self, name: str) -> str:
        """A name that no tensor of the graph has yet."""
        candidate, count = name, 1
        while candidate in self.tensors:
            count += 1
            candidate = f"{name}:{count}"
        return candidate

    def declare(self, name: str, shape: Shape, tensor: int) -> str:
        """A new tensor of the graph, on the scale of one of the file."""
        name = self.unique(name)
        codes = self.quantization(tensor)
        kind: Any = "index" if self.dtype(tensor) == np.int32 else "real"
        self.tensors[name] = Tensor(name, shape, codes, kind, bits=codes.bits if codes else 8)
        return name

    def add(self, make: Callable[[str, str], Operator], name: str, shape: Shape, tensor: int) -> str:
        """Add the operator that `make(name, output)` gives; the output's name."""
        output = self.declare(name, shape, tensor)
        self._append(make(output, output))
        return output

    def _append(self, op: Operator) -> None:
        self.operators.append(op)
        self.makers[op.output] = op

    def reshaped(self, name: str, to: str, shape: Shape, tensor: int) -> str:
        """A tensor of the graph under another shape, called `to`; as it is, where it has that shape."""
        if self.tensors[name].shape == shape:
            return name
        return self.add(lambda n, out: Reshape(n, (name,), out), to, shape, tensor)

    def emit(
        self,
        op: StoredOperator,
        make: Callable[[str, str], Operator],
        axes: Axes,
        activation: Activation = "none",
        place: int = 0,
    ) -> None:
        """Add an operator of the file, whose output (its shape is known) stands in the graph in an order of axes.

        Args:
            activation: that the graph has no place for in this operator: a Relu follows.
        """
        tensor = op.outputs[place]
        shape = tuple(1 if axis is None else self.shapes[tensor][axis] for axis in axes)
        output = self.add(make, self.name(tensor), shape, tensor)
        if activation != "none":
            before = output
            output = self.add(
                lambda n, out: Relu(n, (before,), out, activation), f"{self.name(tensor)}/{activation}", shape, tensor
            )
        self.forms[tensor] = [Form(output, axes)]

    def emit_weighted(self, op: StoredOperator, weighted: Weighted, axes: Axes, key: Any) -> None:
        """Add an operator with weights; `key` stands for its parameters, which another may share."""

        def make(name: str, output: str) -> Operator:
            first = self.first_of.setdefault(key, name)
            return replace(weighted, name=name, output=output, shares="" if first == name else first)

        self.emit(op, make, axes)

    def maker(self, tensor: int) -> Operator | None:
        """The operator of the graph that made a tensor."""
        return self.makers.get(self.forms[tensor][0].name)

    def outer(self, tensor: int) -> bool:
        """Is it an input of uint8 codes or real values, which becomes int8 codes by a QUANTIZE?"""
        return tensor in self.places and self.dtype(tensor) in OUTER

    def take(self, tensor: int, codes: int) -> None:
        """Declare an input, by the tensor that holds its codes."""
        want = tuple(int(place) + 1 for place in np.argsort(self.places[tensor]))
        shape = self.shapes[tensor]
        name = self.declare(self.name(tensor), tuple(shape[axis] for axis in want), codes)
        self.forms[codes] = [Form(name, want)]
        self.input_codes[tensor] = codes


Reader = Callable[[Network, StoredOperator], None]
