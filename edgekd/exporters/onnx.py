"""Writes a graph as an ONNX file: float32, or int8 with QuantizeLinear and DequantizeLinear (QDQ) around each operator.

Activations of a quantised graph are uint8 in the file: int8 codes shifted by 128, the form that onnxruntime runs fast
on x86. Operators that only move or compare codes (slice, pad, reshape, max pool) work on the codes themselves.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgekd.errors import UnsupportedOperatorError
from edgekd.exporters.metadata import Preprocessing, describe
from edgekd.graph.ops import (
    QMAX,
    QMIN,
    Activation,
    Add,
    Array,
    AveragePool2d,
    Conv2d,
    GlobalAveragePool,
    Graph,
    Linear,
    MaxPool2d,
    Operator,
    Pad,
    Relu,
    Reshape,
    Slice,
    Weighted,
    activation_range,
)

OPSET, IR_VERSION = 17, 8
"""Of 2022: devices run older releases of onnxruntime."""

SHIFT = 128
"""uint8 code = int8 code + SHIFT."""


def write(graph: Graph, path: Path, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> Path:
    """Write `graph` to `path` with a free batch; the input and output of a quantised graph are uint8.

    Raises:
        UnsupportedOperatorError: naming the operator that has no ONNX form here.
    """
    path.write_bytes(serialize(graph, labels, preprocessing))
    return path


def serialize(graph: Graph, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> bytes:
    """The file's bytes; the same graph gives the same bytes."""
    writer = _Writer(graph)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no ONNX form", 'export.formats = ["tflite"]'
            )
        WRITERS[type(op)](writer, op)
    model = writer.finish()
    helper.set_model_props(model, describe(graph, labels, preprocessing, SHIFT))
    return bytes(model.SerializeToString(deterministic=True))


class _Writer:
    """Collects nodes and constants. A quantised tensor `t` is the uint8 value `t`; its float form is `t/float`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, values: Any, dtype: Any = None) -> str:
        """A value that stands in the file; a plain number becomes 0-d, as onnxruntime's fusions want scales."""
        self.constants[name] = numpy_helper.from_array(
            np.ascontiguousarray(values, dtype).reshape(np.shape(values)), name
        )
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def parameters(self, tensor: str) -> list[str]:
        """Names of a tensor's scale and zero point."""
        q = self.graph.quantization(tensor)
        scale = self.constant(f"{tensor}/scale", np.float32(q.scale), np.float32)
        return [scale, self.constant(f"{tensor}/zero_point", np.uint8(q.zero_point + SHIFT), np.uint8)]

    def values(self, tensor: str, reader: Operator) -> str:
        """The float form of a tensor. Each reader gets a DequantizeLinear of its own: fusions need that."""
        if not self.graph.quantized:
            return tensor
        inputs = [tensor, *self.parameters(tensor)]
        return self.node("DequantizeLinear", inputs, f"{tensor}/float for {reader.name}{len(self.nodes)}")

    def result(self, op: Operator, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Write a node on float values, its activation, and the way back to codes."""
        activation: Activation = getattr(op, "activation", "none")
        if not self.graph.quantized:
            self.activated(activation, self.node(kind, inputs, f"{op.output}/{kind}", **attributes), op.output)
            return
        value = self.node(kind, inputs, f"{op.output}/{kind}", **attributes)
        if activation_range(activation, self.graph.quantization(op.output)) != (QMIN, QMAX):
            value = self.activated(activation, value, f"{op.output}/{activation}")
        self.node("QuantizeLinear", [value, *self.parameters(op.output)], op.output)

    def activated(self, activation: Activation, value: str, output: str) -> str:
        """Write an activation; "none" only renames the value."""
        if activation == "none":
            self.nodes[-1].output[0] = output
            return output
        if activation == "relu":
            return self.node("Relu", [value], output)
        low, high = self.constant("relu6/min", np.float32(0)), self.constant("relu6/max", np.float32(6))
        return self.node("Clip", [value, low, high], output)

    def weights(self, op: Weighted) -> list[str]:
        """Names of weight and bias as float values."""
        if op.weight_scale is None:
            return [self.constant(f"{op.name}/weight", op.weight), self.constant(f"{op.name}/bias", op.bias)]
        scale = op.weight_scale.astype(np.float32)
        step = np.float32(self.graph.quantization(op.inputs[0]).scale) * scale
        return [
            self._dequantized(f"{op.name}/weight", op.weight, scale),
            self._dequantized(f"{op.name}/bias", op.bias, step),
        ]

    def _dequantized(self, name: str, codes: Array, scale: Array) -> str:
        zeros = self.constant(f"{name}/zero_point", np.zeros(len(scale), codes.dtype))
        inputs = [self.constant(f"{name}/codes", codes), self.constant(f"{name}/scale", scale), zeros]
        return self.node("DequantizeLinear", inputs, name, axis=0)

    def finish(self) -> Any:
        kind = TensorProto.UINT8 if self.graph.quantized else TensorProto.FLOAT
        ends = []
        for name in (self.graph.input, self.graph.output):
            shape: list[str | int | None] = ["batch", *self.graph.tensors[name].shape]
            ends.append(helper.make_tensor_value_info(name, kind, shape))
        graph = helper.make_graph(self.nodes, "edgekd", ends[:1], ends[1:], list(self.constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="edgekd")


def _write_conv2d(writer: _Writer, op: Conv2d) -> None:
    top, bottom, left, right = op.padding
    writer.result(
        op,
        "Conv",
        [writer.values(op.inputs[0], op), *writer.weights(op)],
        kernel_shape=op.weight.shape[2:],
        strides=op.stride,
        pads=(top, left, bottom, right),
        dilations=op.dilation,
        group=op.groups,
    )


def _write_linear(writer: _Writer, op: Linear) -> None:
    writer.result(op, "Gemm", [writer.values(op.inputs[0], op), *writer.weights(op)], transB=1)


def _write_add(writer: _Writer, op: Add) -> None:
    writer.result(op, "Add", [writer.values(name, op) for name in op.inputs])


def _write_relu(writer: _Writer, op: Relu) -> None:
    if not writer.graph.quantized:
        writer.activated(op.activation, op.inputs[0], op.output)
        return
    low, high = activation_range(op.activation, writer.graph.quantization(op.output))
    ends = [writer.constant(f"{op.name}/{n}", np.uint8(v + SHIFT)) for n, v in (("min", low), ("max", high))]
    writer.node("Clip", [op.inputs[0], *ends], op.output)


def _write_global_average_pool(writer: _Writer, op: GlobalAveragePool) -> None:
    value = writer.node("GlobalAveragePool", [writer.values(op.inputs[0], op)], f"{op.output}/mean")
    if writer.graph.quantized:
        value = writer.node("QuantizeLinear", [value, *writer.parameters(op.output)], f"{op.output}/codes")
    writer.node("Flatten", [value], op.output, axis=1)


def _write_max_pool2d(writer: _Writer, op: MaxPool2d) -> None:
    top, bottom, left, right = op.padding
    pads = (top, left, bottom, right)
    writer.node("MaxPool", op.inputs, op.output, kernel_shape=op.kernel, strides=op.stride, pads=pads)


def _write_average_pool2d(writer: _Writer, op: AveragePool2d) -> None:
    inputs = [writer.values(op.inputs[0], op)]
    writer.result(op, "AveragePool", inputs, kernel_shape=op.kernel, strides=op.stride)


def _write_pad(writer: _Writer, op: Pad) -> None:
    pads = np.array([[0, 0], *op.amounts], np.int64).T.ravel()
    value: Any = np.float32(0)
    if writer.graph.quantized:
        value = np.uint8(writer.graph.quantization(op.output).zero_point + SHIFT)
    names = [writer.constant(f"{op.name}/pads", pads), writer.constant(f"{op.name}/value", value)]
    writer.node("Pad", [op.inputs[0], *names], op.output)


def _write_slice(writer: _Writer, op: Slice) -> None:
    columns = np.array(op.ranges, np.int64).T
    axes = np.arange(1, len(op.ranges) + 1)
    arrays = zip(("begin", "end", "axes", "step"), (columns[0], columns[1], axes, columns[2]), strict=True)
    names = [writer.constant(f"{op.name}/{name}", values, np.int64) for name, values in arrays]
    writer.node("Slice", [op.inputs[0], *names], op.output)


def _write_reshape(writer: _Writer, op: Reshape) -> None:
    shape = writer.constant(f"{op.name}/shape", np.array((-1, *writer.graph.tensors[op.output].shape), np.int64))
    writer.node("Reshape", [op.inputs[0], shape], op.output)


WRITERS: dict[type[Operator], Callable[[_Writer, Any], None]] = {
    Conv2d: _write_conv2d,
    Linear: _write_linear,
    Add: _write_add,
    Relu: _write_relu,
    GlobalAveragePool: _write_global_average_pool,
    MaxPool2d: _write_max_pool2d,
    AveragePool2d: _write_average_pool2d,
    Pad: _write_pad,
    Slice: _write_slice,
    Reshape: _write_reshape,
}
