"""Operators that work value by value."""

import numpy as np

from edgekd.exporters.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.ops import Add, Relu
from edgekd.graph.structure import Operator, activation_range


def _write_add(file: OnnxFile, op: Add) -> None:
    file.result(op, "Add", [file.values(name, op) for name in op.inputs])


def _write_relu(file: OnnxFile, op: Relu) -> None:
    if file.graph.tensors[op.output].quantization is None:
        file.activated(op.activation, op.inputs[0], op.output)
        return
    low, high = activation_range(op.activation, file.graph.quantization(op.output))
    ends = [file.constant(f"{op.name}/{n}", np.uint8(v + SHIFT)) for n, v in (("min", low), ("max", high))]
    file.node("Clip", [op.inputs[0], *ends], op.output)


WRITERS: dict[type[Operator], Writer] = {
    Add: _write_add,
    Relu: _write_relu,
}
