"""What the writers of operators call: a TFLite file in which the graph's tensors stand in one order or several."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.layout import IMAGE, Layout, Order, Shape, transposition
from edgekd.formats.metadata import roles
from edgekd.formats.tflite.memory import Form, Memory, aligned
from edgekd.formats.tflite.packing import Parts, per_channel, quantization
from edgekd.graph.structure import Activation, Array, Graph, Operator, Tensor, Weighted

Code = schema.BuiltinOperator
ACTIVATIONS: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
Writer = Callable[["FlatbufferFile", Any], None]


class FlatbufferFile:
    """Collects tensors, buffers and operators of one file.

    Args:
        orders: of inputs, where they shall not stand as they do by default: images channels last, others as in torch.
        unsigned: inputs that are codes are uint8 in the file; a QUANTIZE in front of each takes 128 off.

    Attributes:
        moves: how many TRANSPOSEs the graph's own tensors needed.
    """

    def __init__(self, graph: Graph, orders: Mapping[str, Order] | None = None, unsigned: bool = False) -> None:
        self.graph = graph
        self.parts = Parts()
        self.constant, self.operator = self.parts.constant, self.parts.operator
        self.memory = Memory()
        self.chosen: dict[str, Order] = {}  # an operator's output -> the order its inputs were read in
        self.standing: dict[str, Form] = {}  # or the form that its operands have
        self.moves = 0
        self.given: list[Form] = []
        for name in graph.inputs:
            order = (orders or {}).get(name, IMAGE if len(graph.tensors[name].shape) == 3 else None)
            self.declare(name, Layout.of(graph.tensors[name].shape, order))
        self.taken = [self._taken(name, unsigned) for name in graph.inputs]

    def _taken(self, name: str, unsigned: bool) -> Form:
        """An input as the caller gives it."""
        form, codes = self.memory.forms[name][0], self.graph.tensors[name].quantization
        if not unsigned or codes is None:
            return form
        scale = quantization(replace(codes, zero_point=codes.zero_point + 128))
        index = self.parts.tensor(f"{name}/uint8", (1, *form.shape), np.uint8, 0, scale)
        self.operator(Code.QUANTIZE, 1, [index], form.index, schema.QuantizeOptionsT())
        return replace(form, index=index)

    def inputs(self, op: Operator, order: Order | None = None) -> list[int]:
        """Indices of an operator's inputs, all in one order: the given one, or the one that needs the least moving."""
        shapes = [(name, self.graph.tensors[name].shape) for name in op.inputs]
        order = self.memory.common(shapes) if order is None else order
        self.chosen[op.output] = order
        return [self.read(name, aligned(order, len(shape))) for name, shape in shapes]

    def operands(self, op: Operator) -> list[int]:
        """Indices of the inputs of an operator that works value by value: wherever the values stand, if it is alike.

        Those that are broadcast stand as the others do; constants are written so.
        """
        shape, shapes = self.graph.tensors[op.output].shape, [self.graph.tensors[name].shape for name in op.inputs]
        form = self.memory.nearest([name for name, other in zip(op.inputs, shapes, strict=True) if other == shape])
        form = form or Form(-1, shape, Layout.of(shape))
        layouts = [form.layout if other == shape else form.layout.broadcast(other) for other in shapes]
        stored = [form.shape for _ in shapes]
        if any(other != shape for other in shapes):
            whole, *stored = form.layout.beside(shapes)
            form = replace(form, shape=whole)
        self.standing[op.output] = form
        return [self._read(*each) for each in zip(op.inputs, layouts, stored, strict=True)]

    def plain_inputs(self, op: Operator) -> list[int]:
        """Indices of an operator's inputs, all in torch's own order."""
        return self.inputs(op, tuple(range(max(len(self.graph.tensors[name].shape) for name in op.inputs))))

    def output(self, op: Operator, order: Order | None = None) -> int:
        """The index of an operator's output, by default as its inputs were read."""
        if op.output in self.standing:
            return self.declare(op.output, self.standing[op.output].layout, self.standing[op.output].shape)
        shape = self.graph.tensors[op.output].shape
        order = self.chosen.get(op.output) if order is None else order
        fits = order is not None and len(shape) == sum(axis is not None for axis in order)
        return self.declare(op.output, Layout.of(shape, order if fits else None))

    def declare(self, name: str, layout: Layout, shape: Shape | None = None) -> int:
        """The index of a new tensor of the file, which holds a tensor of the graph in a layout.

        Args:
            shape: in the file, where it joins what the layout splits.
        """
        shape = layout.sizes if shape is None else shape
        index = self.activation(self.graph.tensors[name], name, shape)
        self.memory.forms[name] = [Form(index, shape, layout)]
        return index

    def order(self, name: str) -> Order:
        """The order in which a tensor can be read without moving it, or else torch's."""
        return self.memory.common([(name, self.graph.tensors[name].shape)])

    def read(self, name: str, order: Order | None = None) -> int:
        """The index of a tensor of the graph in an order, by default the one that it has.

        What stands otherwise is moved, once for all who ask for that order.
        """
        order = self.order(name) if order is None else order
        return self._read(name, Layout.of(self.graph.tensors[name].shape, order))

    def _read(self, name: str, want: Layout, shape: Shape | None = None) -> int:
        """The index of a tensor in a layout; `shape` in the file, if it is not as the layout has it."""
        shape = want.sizes if shape is None else shape
        if name in self.memory.values:
            values = want.arranged(self.memory.values[name]).reshape(1, *shape)
            return self.constant(name, values, self.scale_of(name))
        same = self.memory.in_order(name, want)
        return self.shaped(name, same[0] if same else self._moved(name, want), shape).index

    def shaped(self, name: str, form: Form, shape: Shape) -> Form:
        """The same bytes under another shape."""
        for other in self.memory.in_order(name, form.layout):
            if other.shape == shape:
                return other
        tensor = self.graph.tensors[name]
        index = self.activation(tensor, f"{name}/reshaped{len(self.parts.tensors)}", shape)
        self.reshape(form.source, index, shape)
        self.memory.forms[name].append(Form(index, shape, form.layout, form.source))
        return self.memory.forms[name][-1]

    def _moved(self, name: str, want: Layout) -> Form:
        form = self.memory.forms[name][0]
        way = transposition(form.layout, form.shape, want)
        if way is None:  # their axes are split at places that don't fit each other
            plain = Layout.of(want.shape)
            self._read(name, plain)
            form = self.memory.in_order(name, plain)[0]
            way = transposition(form.layout, form.shape, want)
            assert way is not None
        before, permutation, after = way
        tensor, batched = self.graph.tensors[name], len(before) < 5
        if batched:
            source = self.shaped(name, form, before).index
        else:
            source = self.activation(tensor, f"{name}/split{len(self.parts.tensors)}", before, batched)
            self.reshape(form.source, source, before, batched)
        moved = index = self.activation(tensor, f"{name}/moved{len(self.parts.tensors)}", after, batched)
        by = (0, *(place + 1 for place in permutation)) if batched else permutation
        inputs = [source, self.constant(f"{name}/order{len(self.parts.tensors)}", np.array(by, np.int32))]
        version = 2 if tensor.quantization else 1
        self.operator(Code.TRANSPOSE, version, inputs, index, schema.TransposeOptionsT())
        self.moves += 1
        if after != want.sizes or not batched:
            index = self.activation(tensor, f"{name}/joined{len(self.parts.tensors)}", want.sizes)
            self.reshape(moved, index, want.sizes)
        self.memory.forms[name].append(Form(index, want.sizes, want, -1 if index == moved else moved))
        return self.memory.forms[name][-1]

    def rows(self, name: str) -> tuple[int, Layout, Array]:
        """A tensor as FULLY_CONNECTED reads it, its last axis innermost.

        Returns:
            its index; the layout of its leading axes; the order of the last one: position in memory -> torch's.
        """
        for form in self.memory.forms[name]:
            if (found := form.layout.rows()) is not None:
                break
        else:
            shape = self.graph.tensors[name].shape
            last = len(shape) - 1
            want = Layout.of(shape, (*(axis for axis in self.order(name) if axis not in (None, last)), last))
            self._read(name, want)
            form, found = self.memory.in_order(name, want)[0], want.rows()
            assert found is not None
        leading, inner = found
        form = self.shaped(name, form, leading.followed_by(*inner.shape).folded)
        return form.index, leading, inner.arranged(np.arange(*inner.shape)).ravel()

    def reshape(self, source: int, output: int, shape: Shape, batched: bool = True) -> None:
        """Write a RESHAPE; `shape` is without the batch."""
        target = np.array((-1, *shape) if batched else shape, np.int32)
        options = schema.ReshapeOptionsT()
        options.newShape = target
        self.operator(
            Code.RESHAPE, 1, [source, self.constant(f"shape{len(self.parts.tensors)}", target)], output, options
        )

    def activation(self, tensor: Tensor, name: str, shape: Shape, batched: bool = True) -> int:
        """The index of a new tensor between operators, on a tensor's scale; `shape` is without the batch."""
        codes = np.int16 if tensor.bits == 16 else np.int8
        dtype = np.dtype(codes if tensor.quantization else np.int32 if tensor.kind == "index" else np.float32)
        scale = quantization(tensor.quantization) if tensor.quantization else None
        return self.parts.tensor(name, (1, *shape) if batched else shape, dtype, 0, scale)

    def scale_of(self, tensor: str) -> Any:
        """The scale and zero point of a tensor of the graph, for a constant that shares them; None for real values."""
        found = self.graph.tensors[tensor].quantization
        return quantization(found) if found else None

    def stored(self, tensor: str, values: Array) -> None:
        """Let a tensor of the graph stand in the file, in whatever order its readers want."""
        self.memory.values[tensor] = values

    def weights(self, op: Weighted, weight: Array, channel_axis: int) -> list[int]:
        """Indices of weight and bias, with their scales in a quantised graph."""
        if op.weight_scale is None:
            return [self.constant(f"{op.name}/weight", weight), self.constant(f"{op.name}/bias", op.bias)]
        scale = op.weight_scale.astype(np.float32)
        step = np.float32(self.graph.quantization(op.inputs[0]).scale) * scale
        return [
            self.constant(f"{op.name}/weight", weight, per_channel(scale, channel_axis)),
            self.constant(f"{op.name}/bias", op.bias, per_channel(step, 0)),
        ]

    def version(self, op: Operator, quantized: int) -> int:
        """The operator's version: 1 in float, `quantized` in int8."""
        return quantized if self.graph.tensors[op.inputs[0]].quantization else 1

    def give(self) -> None:
        """See to it that each output has a tensor of its own in which every axis stands whole: the last thing to do."""
        for name in self.graph.outputs:
            order = tuple(axis for axis in self.order(name) if axis is not None)
            index = self.read(name, order)
            layout = Layout.of(self.graph.tensors[name].shape, order)
            if index in {form.index for form in (*self.taken, *self.given)} | set(self.parts.constants.values()):
                source, index = index, self.activation(self.graph.tensors[name], f"{name}/out", layout.sizes)
                self.reshape(source, index, layout.sizes)
            self.given.append(Form(index, layout.sizes, layout))

    def finish(self, metadata: Mapping[str, str | bytes]) -> bytes:
        """The file's bytes."""
        taken = {role: form for (role, _), form in zip(roles("input", self.graph.inputs), self.taken, strict=True)}
        given = {role: form for (role, _), form in zip(roles("output", self.graph.outputs), self.given, strict=True)}
        ends = {**taken, **given}.items()
        axes = {f"{role}_axes": json.dumps(form.layout.whole()) for role, form in ends if len(form.shape) > 1}
        inputs, outputs = ({role: form.index for role, form in forms.items()} for forms in (taken, given))
        return self.parts.packed(inputs, outputs, {**metadata, **axes})
