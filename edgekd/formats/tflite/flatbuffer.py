"""Builds a TFLite file for the writers of operators; it stores each tensor in one or several orders of axes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.layout import IMAGE, Layout, Order, Shape, transposition
from edgekd.formats.metadata import roles
from edgekd.formats.tflite.memory import Form, Memory, align_order
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
        orders: the orders of inputs' axes that differ from the default: channels last for images, torch's for others.
        unsigned: whether inputs that are codes are uint8 in the file, from which a QUANTIZE subtracts 128.

    Attributes:
        moves: the number of TRANSPOSEs that were added to reorder the graph's tensors.
        input_orders: the order in which each operator's inputs were read, by the name of its output.
        operand_forms: the form in which the operands of an operator stand that works value by value, by its output.
        input_forms, output_forms: the tensors of the file that are its inputs and outputs.
    """

    def __init__(self, graph: Graph, orders: Mapping[str, Order] | None = None, unsigned: bool = False) -> None:
        self.graph = graph
        self.parts = Parts()
        self.constant, self.operator = self.parts.constant, self.parts.operator
        self.memory = Memory()
        self.input_orders: dict[str, Order] = {}
        self.operand_forms: dict[str, Form] = {}
        self.moves = 0
        self.output_forms: list[Form] = []
        for name in graph.inputs:
            order = (orders or {}).get(name, IMAGE if len(graph.tensors[name].shape) == 3 else None)
            self.declare(name, Layout.of(graph.tensors[name].shape, order))
        self.input_forms = [self._input_form(name, unsigned) for name in graph.inputs]

    def _input_form(self, name: str, unsigned: bool) -> Form:
        """The tensor of the file that is an input of the graph, with its QUANTIZE from uint8."""
        form, codes = self.memory.forms[name][0], self.graph.tensors[name].quantization
        if not unsigned or codes is None:
            return form
        scale = quantization(replace(codes, zero_point=codes.zero_point + 128))
        index = self.parts.tensor(f"{name}/uint8", (1, *form.shape), np.uint8, 0, scale)
        self.operator(Code.QUANTIZE, 1, [index], form.index, schema.QuantizeOptionsT())
        return replace(form, index=index)

    def inputs(self, op: Operator, order: Order | None = None) -> list[int]:
        """Indices of an operator's inputs, all in one order: `order`, or the one for which the fewest values move."""
        shapes = [(name, self.graph.tensors[name].shape) for name in op.inputs]
        order = self.memory.common(shapes) if order is None else order
        self.input_orders[op.output] = order
        return [self.read(name, align_order(order, len(shape))) for name, shape in shapes]

    def operands(self, op: Operator) -> list[int]:
        """Indices of the inputs of an operator that works value by value, in any layout that all of them can have.

        Broadcast operands follow the layout of the others, and constants are written in it.
        """
        shape, shapes = self.graph.tensors[op.output].shape, [self.graph.tensors[name].shape for name in op.inputs]
        form = self.memory.nearest([name for name, other in zip(op.inputs, shapes, strict=True) if other == shape])
        form = form or Form(-1, shape, Layout.of(shape))
        layouts = [form.layout if other == shape else form.layout.broadcast(other) for other in shapes]
        file_shapes = [form.shape for _ in shapes]
        if any(other != shape for other in shapes):
            file_shape, *file_shapes = form.layout.broadcast_shapes(shapes)
            form = replace(form, shape=file_shape)
        self.operand_forms[op.output] = form
        return [self._read(*operand) for operand in zip(op.inputs, layouts, file_shapes, strict=True)]

    def plain_inputs(self, op: Operator) -> list[int]:
        """Indices of an operator's inputs, all in torch's own order."""
        return self.inputs(op, tuple(range(max(len(self.graph.tensors[name].shape) for name in op.inputs))))

    def output(self, op: Operator, order: Order | None = None) -> int:
        """Declare an operator's output, by default in its inputs' order, and return its index."""
        if op.output in self.operand_forms:
            return self.declare(op.output, self.operand_forms[op.output].layout, self.operand_forms[op.output].shape)
        shape = self.graph.tensors[op.output].shape
        order = self.input_orders.get(op.output) if order is None else order
        fits = order is not None and len(shape) == sum(axis is not None for axis in order)
        return self.declare(op.output, Layout.of(shape, order if fits else None))

    def declare(self, name: str, layout: Layout, shape: Shape | None = None) -> int:
        """Add a tensor that holds a tensor of the graph in a layout, and return its index; `shape` may join axes."""
        shape = layout.sizes if shape is None else shape
        index = self.activation(self.graph.tensors[name], name, shape)
        self.memory.forms[name] = [Form(index, shape, layout)]
        return index

    def order(self, name: str) -> Order:
        """The order in which a tensor can be read without moving it, or torch's order."""
        return self.memory.common([(name, self.graph.tensors[name].shape)])

    def read(self, name: str, order: Order | None = None) -> int:
        """The index of a tensor of the graph in an order, by default one in which it is stored.

        A tensor in another order is transposed, once for all its readers.
        """
        order = self.order(name) if order is None else order
        return self._read(name, Layout.of(self.graph.tensors[name].shape, order))

    def _read(self, name: str, layout: Layout, shape: Shape | None = None) -> int:
        """The index of a tensor in a layout; `shape` is its shape in the file where that is not the layout's."""
        shape = layout.sizes if shape is None else shape
        if name in self.memory.values:
            values = layout.arrange(self.memory.values[name]).reshape(1, *shape)
            return self.constant(name, values, self.scale_of(name))
        forms = self.memory.in_order(name, layout)
        return self.with_shape(name, forms[0] if forms else self._transpose(name, layout), shape).index

    def with_shape(self, name: str, form: Form, shape: Shape) -> Form:
        """The form of a tensor with the same bytes under another shape."""
        for other in self.memory.in_order(name, form.layout):
            if other.shape == shape:
                return other
        tensor = self.graph.tensors[name]
        index = self.activation(tensor, f"{name}/reshaped{len(self.parts.tensors)}", shape)
        self.reshape(form.source, index, shape)
        self.memory.forms[name].append(Form(index, shape, form.layout, form.source))
        return self.memory.forms[name][-1]

    def _transpose(self, name: str, layout: Layout) -> Form:
        form = self.memory.forms[name][0]
        steps = transposition(form.layout, form.shape, layout)
        if steps is None:  # no single transpose leads from one split of the axes to the other
            plain = Layout.of(layout.shape)
            self._read(name, plain)
            form = self.memory.in_order(name, plain)[0]
            steps = transposition(form.layout, form.shape, layout)
            assert steps is not None
        before, permutation, after = steps
        tensor, batched = self.graph.tensors[name], len(before) < 5
        if batched:
            source = self.with_shape(name, form, before).index
        else:
            source = self.activation(tensor, f"{name}/split{len(self.parts.tensors)}", before, batched)
            self.reshape(form.source, source, before, batched)
        result = index = self.activation(tensor, f"{name}/moved{len(self.parts.tensors)}", after, batched)
        order = (0, *(place + 1 for place in permutation)) if batched else permutation
        inputs = [source, self.constant(f"{name}/order{len(self.parts.tensors)}", np.array(order, np.int32))]
        version = 2 if tensor.quantization else 1
        self.operator(Code.TRANSPOSE, version, inputs, index, schema.TransposeOptionsT())
        self.moves += 1
        if after != layout.sizes or not batched:
            index = self.activation(tensor, f"{name}/joined{len(self.parts.tensors)}", layout.sizes)
            self.reshape(result, index, layout.sizes)
        self.memory.forms[name].append(Form(index, layout.sizes, layout, -1 if index == result else result))
        return self.memory.forms[name][-1]

    def rows(self, name: str) -> tuple[int, Layout, Array]:
        """A tensor in a layout for FULLY_CONNECTED, with its last axis innermost.

        Returns:
            its index; the layout of its leading axes; and for each position along the last axis torch's index.
        """
        for form in self.memory.forms[name]:
            if (row_layouts := form.layout.rows()) is not None:
                break
        else:
            shape = self.graph.tensors[name].shape
            last = len(shape) - 1
            layout = Layout.of(shape, (*(axis for axis in self.order(name) if axis not in (None, last)), last))
            self._read(name, layout)
            form, row_layouts = self.memory.in_order(name, layout)[0], layout.rows()
            assert row_layouts is not None
        leading, inner = row_layouts
        form = self.with_shape(name, form, leading.append_axis(*inner.shape).row_shape)
        return form.index, leading, inner.arrange(np.arange(*inner.shape)).ravel()

    def reshape(self, source: int, output: int, shape: Shape, batched: bool = True) -> None:
        """Add a RESHAPE; `shape` is without the batch where `batched`."""
        target = np.array((-1, *shape) if batched else shape, np.int32)
        options = schema.ReshapeOptionsT()
        options.newShape = target
        self.operator(
            Code.RESHAPE, 1, [source, self.constant(f"shape{len(self.parts.tensors)}", target)], output, options
        )

    def activation(self, tensor: Tensor, name: str, shape: Shape, batched: bool = True) -> int:
        """Add a tensor with the scale of a tensor of the graph, and return its index; `shape` is as for `reshape`."""
        codes = np.int16 if tensor.bits == 16 else np.int8
        dtype = np.dtype(codes if tensor.quantization else np.int32 if tensor.kind == "index" else np.float32)
        scale = quantization(tensor.quantization) if tensor.quantization else None
        return self.parts.tensor(name, (1, *shape) if batched else shape, dtype, 0, scale)

    def scale_of(self, tensor: str) -> Any:
        """The scale and zero point of a tensor of the graph for a constant that shares them; None for real values."""
        parameters = self.graph.tensors[tensor].quantization
        return quantization(parameters) if parameters else None

    def store(self, tensor: str, values: Array) -> None:
        """Store a tensor of the graph as a constant, which is written in the order of each of its readers."""
        self.memory.values[tensor] = values

    def weights(self, op: Weighted, weight: Array, channel_axis: int) -> list[int]:
        """Add weight and bias, with their scales in a quantised graph, and return their indices."""
        if op.weight_scale is None:
            return [self.constant(f"{op.name}/weight", weight), self.constant(f"{op.name}/bias", op.bias)]
        scale = op.weight_scale.astype(np.float32)
        step = np.float32(self.graph.quantization(op.inputs[0]).scale) * scale
        return [
            self.constant(f"{op.name}/weight", weight, per_channel(scale, channel_axis)),
            self.constant(f"{op.name}/bias", op.bias, per_channel(step, 0)),
        ]

    def version(self, op: Operator, quantized: int) -> int:
        """The version of an operator: 1 in float, `quantized` in int8."""
        return quantized if self.graph.tensors[op.inputs[0]].quantization else 1

    def finish_outputs(self) -> None:
        """Give each output a tensor of its own in which no axis is split, after all operators have been written."""
        for name in self.graph.outputs:
            order = tuple(axis for axis in self.order(name) if axis is not None)
            index = self.read(name, order)
            layout = Layout.of(self.graph.tensors[name].shape, order)
            ends = {form.index for form in (*self.input_forms, *self.output_forms)}
            if index in ends | set(self.parts.constants.values()):
                source, index = index, self.activation(self.graph.tensors[name], f"{name}/out", layout.sizes)
                self.reshape(source, index, layout.sizes)
            self.output_forms.append(Form(index, layout.sizes, layout))

    def finish(self, metadata: Mapping[str, str | bytes]) -> bytes:
        """Return the bytes of the file."""
        input_roles, output_roles = roles("input", self.graph.inputs), roles("output", self.graph.outputs)
        inputs = {role: form for (role, _), form in zip(input_roles, self.input_forms, strict=True)}
        outputs = {role: form for (role, _), form in zip(output_roles, self.output_forms, strict=True)}
        forms = {**inputs, **outputs}.items()
        axes = {f"{role}_axes": json.dumps(form.layout.order()) for role, form in forms if len(form.shape) > 1}
        input_indices, output_indices = ({role: f.index for role, f in ends.items()} for ends in (inputs, outputs))
        return self.parts.pack(input_indices, output_indices, {**metadata, **axes})
