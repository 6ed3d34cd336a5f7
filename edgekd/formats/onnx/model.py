"""Builds an ONNX file for the writers of operators: nodes, constants, and conversions between codes and floats."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgekd.graph.structure import QMAX, QMIN, Activation, Array, Graph, Operator, Weighted, activation_range

OPSET, IR_VERSION = 17, 8
"""The versions of 2022, since devices run older releases of onnxruntime."""

SHIFT = 128
"""The difference of uint8 and int8 codes: uint8 code = int8 code + SHIFT."""

Writer = Callable[["OnnxFile", Any], None]


class OnnxFile:
    """Collects nodes and constants. A quantised tensor `t` is the uint8 value `t`; its float form is `t/float`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.parameter_owners = {op.shares for op in graph.weighted()}

    def constant(self, name: str, values: Any, dtype: Any = None) -> str:
        """Add a constant and return its name; a number becomes 0-d, as onnxruntime's fusions expect scales."""
        self.constants[name] = numpy_helper.from_array(
            np.ascontiguousarray(values, dtype).reshape(np.shape(values)), name
        )
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def parameters(self, tensor: str) -> list[str]:
        """Add a tensor's scale and zero point and return their names."""
        q, first = self.graph.quantization(tensor), self.graph.tensors[tensor].like or tensor
        scale = self.constant(f"{first}/scale", np.float32(q.scale), np.float32)
        return [scale, self.constant(f"{first}/zero_point", np.uint8(q.zero_point + SHIFT), np.uint8)]

    def values(self, tensor: str, reader: Operator, codes: str = "") -> str:
        """Add the float form of a tensor and return its name; fusions need a DequantizeLinear for each reader.

        Args:
            codes: the name of what holds the tensor's codes, or values, where nodes have moved them; "" for the tensor.
        """
        if self.graph.tensors[tensor].quantization is None:
            return codes or tensor
        inputs = [codes or tensor, *self.parameters(tensor)]
        return self.node("DequantizeLinear", inputs, f"{tensor}/float{len(self.nodes)}")

    def result(self, op: Operator, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node on float values, its QuantizeLinear and its activation on codes, in the order that fusions need.

        Args:
            output: the result's name where further nodes lead to `op.output`; "" for `op.output` itself.
        """
        activation: Activation = getattr(op, "activation", "none")
        output = output or op.output
        value = self.node(kind, inputs, f"{output}/{kind}", **attributes)
        if self.graph.tensors[op.output].quantization is None:
            return self.activate(activation, value, output)
        code_range = activation_range(activation, self.graph.quantization(op.output))
        if code_range == (QMIN, QMAX):
            return self.node("QuantizeLinear", [value, *self.parameters(op.output)], output)
        codes = self.node("QuantizeLinear", [value, *self.parameters(op.output)], f"{output}/codes")
        return self.clip(codes, code_range, output)

    def clip(self, codes: str, code_range: tuple[int, int], output: str) -> str:
        """Add a clamp of codes to an int8 range (lowest, highest)."""
        names = [
            self.constant(f"{output}/{n}", np.uint8(v + SHIFT)) for n, v in zip(("min", "max"), code_range, strict=True)
        ]
        return self.node("Clip", [codes, *names], output)

    def activate(self, activation: Activation, value: str, output: str) -> str:
        """Add an activation on float values; "none" only renames the value."""
        if activation == "none":
            self.nodes[-1].output[0] = output
            return output
        if activation == "relu":
            return self.node("Relu", [value], output)
        low, high = self.constant("relu6/min", np.float32(0)), self.constant("relu6/max", np.float32(6))
        return self.node("Clip", [value, low, high], output)

    def weights(self, op: Weighted) -> list[str]:
        """Add weight and bias as float values and return their names; shared ones are stored by their owner's name."""
        owner = op.shares or op.name
        if op.weight_scale is None:
            return [self.constant(f"{owner}/weight", op.weight), self.constant(f"{owner}/bias", op.bias)]
        scale = np.broadcast_to(op.weight_scale.astype(np.float32), len(op.bias))
        step = np.float32(self.graph.quantization(op.inputs[0]).scale) * scale
        return [
            self._dequantize(f"{owner}/weight", op.weight, scale, f"{op.name}/weight"),
            self._dequantize(f"{owner}/bias", op.bias, step, f"{op.name}/bias"),
        ]

    def _dequantize(self, name: str, codes: Array, scale: Array, output: str) -> str:
        zero_points = np.zeros(len(scale), codes.dtype)
        if codes.dtype == np.int8 and name.removesuffix("/weight") in self.parameter_owners:
            # For exactness without VNNI onnxruntime makes uint8 weights of int8 ones, and trips over shared ones.
            codes, zero_points = (codes.astype(np.int16) + SHIFT).astype(np.uint8), np.full(len(scale), SHIFT, np.uint8)
        parts = {"codes": codes, "scale": scale, "zero_point": zero_points}
        inputs = [self.constant(f"{name}/{part}", values) for part, values in parts.items()]
        return self.node("DequantizeLinear", inputs, output, axis=0)

    def store(self, tensor: str, values: Array) -> None:
        """Store a tensor of the graph as a constant, with a batch of one."""
        quantized = self.graph.tensors[tensor].quantization is not None
        self.constant(tensor, (values.astype(np.int16) + SHIFT).astype(np.uint8)[None] if quantized else values[None])

    def finish(self) -> Any:
        """Return the onnx model."""
        inputs, outputs = ([self._end(name) for name in names] for names in (self.graph.inputs, self.graph.outputs))
        graph = helper.make_graph(self.nodes, "edgekd", inputs, outputs, list(self.constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="edgekd")

    def _end(self, name: str) -> Any:
        tensor = self.graph.tensors[name]
        kind = TensorProto.INT32 if tensor.kind == "index" else TensorProto.FLOAT
        kind = TensorProto.UINT8 if tensor.quantization else kind
        return helper.make_tensor_value_info(name, kind, ["batch", *tensor.shape])


class Steps:
    """Adds the nodes of one operator, one after the other, with names by their number."""

    def __init__(self, file: OnnxFile, op: Operator) -> None:
        self.file, self.op, self.count = file, op, 0

    def number(self, value: float) -> str:
        """Add a float32 constant and return its name."""
        return self.file.constant(f"{self.op.name}/{value:g}", np.float32(value))

    def apply(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self.count += 1
        return self.file.node(kind, inputs, f"{self.op.name}/{kind}{self.count}", **attributes)
