"""Gives the readers of operators the graph to add to, and the file's tensors in the axis order that they need.

A tensor of the file may have several forms in the graph: TFLite's images are channels last, the graph's are channels
first. A transpose, or a reshape that only adds or drops axes of length 1, adds no operator: it renames the axes of the
forms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgekd.formats.tflite.reading.content import Content, StoredOperator
from edgekd.formats.tflite.reading.file_tensors import Axes, FileTensors, Shape
from edgekd.graph.ops import Constant, Relu, Reshape, Transpose
from edgekd.graph.structure import Activation, Operator, Tensor, Weighted

IMAGE: Axes = (3, 1, 2)
"""The axis order of an image in the graph, (C, H, W), as axes of the file's (N, H, W, C)."""
DTYPES_BEFORE_QUANTIZE = (np.dtype(np.uint8), np.dtype(np.float32))
"""The dtypes of inputs that a QUANTIZE operator converts to int8 codes."""


@dataclass(frozen=True)
class Form:
    """A tensor of the graph that holds a tensor of the file, and the order of its axes."""

    name: str
    axes: Axes


@dataclass(frozen=True)
class Rows:
    """Indices of a table's rows that the file computes from the codes of the tensor `source`, as `code + shift`."""

    source: int
    shift: int


class Network(FileTensors):
    """The graph of one file while its operators are read.

    Attributes:
        forms: the graph's tensors that hold a tensor of the file, by that tensor's index.
        rows: the indices of a table's rows that are computed from codes, by the tensor's index.
        pending_reshapes: for the output of a reshape that is not in the graph yet, the tensor that it reshapes.
        code_sources: for a tensor of real values or of uint8 codes, the tensor of codes that it is computed from.
        tensors: the graph's tensors by name.
        operators: the graph's operators in their order.
        producers: the operator that computes a tensor of the graph, by the tensor's name.
        input_axes: for each input of the file, which of torch's axes each of its axes is, without the batch.
        input_codes: for each input of the file, the tensor that holds its codes.
        operators_to_skip: the indices of operators that were read together with an earlier one.
        first_by_parameters: the name of the first operator that has certain parameters of the file.
    """

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        self.forms: dict[int, list[Form]] = {}
        self.rows: dict[int, Rows] = {}
        self.pending_reshapes: dict[int, int] = {}
        self.code_sources: dict[int, int] = {}
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.producers: dict[str, Operator] = {}
        self.input_axes: dict[int, tuple[int, ...]] = {}
        self.input_codes: dict[int, int] = {}
        self.operators_to_skip: set[int] = set()
        self.first_by_parameters: dict[Any, str] = {}

    # Methods that read a tensor in an axis order.

    def read_file_order(self, tensor: int) -> str:
        """Return the graph's tensor that holds a tensor of the file in the file's axis order."""
        return self.read(tensor, self.file_axes(tensor))

    def read_image(self, op: StoredOperator, tensor: int) -> str:
        """Return the graph's tensor (C, H, W) that holds an image of the file."""
        shape = self.shapes[tensor]
        if len(shape) != 4 or shape[0] != 1:
            raise op.refusal(f"works on a tensor of {shape}, a batch of {shape[0] if shape else 0}", "a batch of 1")
        return self.read(tensor, IMAGE)

    def axes(self, tensor: int) -> Axes:
        """Return the axes of the first form that a tensor of the file has in the graph."""
        self.add_pending_reshape(tensor)
        return self.forms[tensor][0].axes if tensor in self.forms else self.file_axes(tensor)

    def read(self, tensor: int, axes: Axes) -> str:
        """Return the graph's tensor that holds a tensor of the file in an axis order; transpose it where needed."""
        if tensor in self.values:
            return self._read_constant(tensor, axes)
        self.add_pending_reshape(tensor)
        for form in self.forms[tensor]:
            if form.axes == axes:
                return form.name
        form, shape = self.forms[tensor][0], self.shapes[tensor]
        form_long_axes, long_axes = (
            [axis for axis in order if axis is not None and shape[axis] > 1] for order in (form.axes, axes)
        )
        name = form.name
        if form_long_axes != long_axes:
            ones = [place for place, axis in enumerate(form.axes) if axis is None or shape[axis] == 1]
            places = {axis: place for place, axis in enumerate(form.axes)}
            order = [places[axis] for axis in long_axes]
            if len(axes) == len(form.axes):
                order = [places[axis] if axis in long_axes else ones.pop(0) for axis in axes]
            else:
                order = [*ones, *order]
            name = self._transpose(name, tuple(order))
        target = tuple(1 if axis is None else shape[axis] for axis in axes)
        name = self.reshape(name, f"{self.name(tensor)}/reshaped", target, tensor)
        self.forms[tensor].append(Form(name, axes))
        return name

    def _transpose(self, name: str, order: tuple[int, ...]) -> str:
        tensor = self.tensors[name]
        output = self.unique_name(f"{name}/transposed")
        self.tensors[output] = replace(tensor, name=output, shape=tuple(tensor.shape[axis] for axis in order))
        self._append(Transpose(output, (name,), output, order))
        return output

    def _read_constant(self, tensor: int, axes: Axes) -> str:
        """Return the graph's tensor that holds a constant of the file in an axis order."""
        for form in self.forms.get(tensor, []):
            if form.axes == axes:
                return form.name
        values = self.values[tensor]
        own_axes = [axis for axis in axes if axis is not None]
        rest = [axis for axis in range(values.ndim) if axis not in own_axes]
        shape = tuple(1 if axis is None else values.shape[axis] for axis in axes)
        operand = np.ascontiguousarray(values.transpose(*rest, *own_axes).reshape(shape))
        name = self.add(lambda n, out: Constant(n, (), out, operand), self.name(tensor), shape, tensor)
        self.forms.setdefault(tensor, []).append(Form(name, axes))
        return name

    def add_pending_reshape(self, tensor: int) -> None:
        """Add the reshape that computes a tensor to the graph, if it is not there yet."""
        source = self.pending_reshapes.pop(tensor, None)
        if source is None:
            return
        name, axes = self.read_file_order(source), self.file_axes(tensor)
        shape = tuple(self.shapes[tensor][axis] for axis in axes if axis is not None)
        output = self.add(lambda n, out: Reshape(n, (name,), out), self.name(tensor), shape, tensor)
        self.forms[tensor] = [Form(output, axes)]

    def rename_axes(self, op: StoredOperator, source: int, axes: dict[int, int | None], shape: Sequence[int]) -> None:
        """Give an operator's output the forms of its source under other axes; `axes` maps the source's axes to them."""
        self.add_pending_reshape(source)
        self.check_same_scale(op, source, op.outputs[0])
        self.output_shape(op, shape)
        self.forms[op.outputs[0]] = [
            Form(form.name, tuple(None if axis is None else axes.get(axis) for axis in form.axes))
            for form in self.forms[source]
        ]

    # Methods that add to the graph.

    def unique_name(self, name: str) -> str:
        """Return a name that no tensor of the graph has yet."""
        candidate, count = name, 1
        while candidate in self.tensors:
            count += 1
            candidate = f"{name}:{count}"
        return candidate

    def declare(self, name: str, shape: Shape, tensor: int) -> str:
        """Add a tensor to the graph with the type and scale of a tensor of the file; return its name."""
        name = self.unique_name(name)
        codes = self.quantization(tensor)
        kind: Any = "index" if self.dtype(tensor) == np.int32 else "real"
        self.tensors[name] = Tensor(name, shape, codes, kind, bits=codes.bits if codes else 8)
        return name

    def add(self, make: Callable[[str, str], Operator], name: str, shape: Shape, tensor: int) -> str:
        """Add the operator that `make(name, output)` returns to the graph; return the name of its output."""
        output = self.declare(name, shape, tensor)
        self._append(make(output, output))
        return output

    def _append(self, op: Operator) -> None:
        self.operators.append(op)
        self.producers[op.output] = op

    def reshape(self, name: str, to: str, shape: Shape, tensor: int) -> str:
        """Return a tensor of the graph in another shape; add a reshape with the name `to` where the shape differs."""
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
        """Add an operator of the file to the graph, after `output_shape` has recorded its output's shape.

        Args:
            op: the operator in the file.
            make: the function that returns the graph's operator for a name and the name of an output.
            axes: the axis order of the output in the graph.
            activation: an activation that this operator of the graph can't fuse; it becomes a Relu after it.
            place: the place of the output among the operator's outputs.
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
        """Add an operator with weights; operators with the same `key` share their parameters."""

        def make(name: str, output: str) -> Operator:
            first = self.first_by_parameters.setdefault(key, name)
            return replace(weighted, name=name, output=output, shares="" if first == name else first)

        self.emit(op, make, axes)

    def producer(self, tensor: int) -> Operator | None:
        """Return the operator of the graph that computes a tensor of the file, or None for an input."""
        return self.producers.get(self.forms[tensor][0].name)

    def is_input_before_quantize(self, tensor: int) -> bool:
        """Return whether a tensor is an input of uint8 codes or real values, which a QUANTIZE makes int8 codes of."""
        return tensor in self.input_axes and self.dtype(tensor) in DTYPES_BEFORE_QUANTIZE

    def declare_input(self, tensor: int, codes: int) -> None:
        """Add an input of the file to the graph; `codes` is the tensor of the file that holds its codes."""
        axes = tuple(int(place) + 1 for place in np.argsort(self.input_axes[tensor]))
        shape = self.shapes[tensor]
        name = self.declare(self.name(tensor), tuple(shape[axis] for axis in axes), codes)
        self.forms[codes] = [Form(name, axes)]
        self.input_codes[tensor] = codes


Reader = Callable[[Network, StoredOperator], None]
