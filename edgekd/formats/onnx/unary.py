"""The ONNX forms of functions of one value: nodes on real values, which onnxruntime fuses, or tables."""

import math
from typing import Any

import numpy as np
from onnx import TensorProto

from edgekd.formats.onnx.model import SHIFT, OnnxFile, Steps, Writer
from edgekd.graph.operators.unary import shipped
from edgekd.graph.ops import Unary
from edgekd.graph.structure import Operator

NODES = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "hard_swish": "HardSwish",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "softplus": "Softplus",
}


def _write_unary(file: OnnxFile, op: Unary) -> None:
    source, output = (file.graph.tensors[name].quantization for name in (op.inputs[0], op.output))
    if source and output:
        op = shipped(op, source, output, "onnxruntime")
    if op.table is not None:
        _write_table(file, op)
    elif op.function in NODES:
        attributes: dict[str, Any] = {"alpha": op.alpha} if op.function in ("leaky_relu", "elu") else {}
        file.result(op, NODES[op.function], [file.values(op.inputs[0], op)], **attributes)
    elif op.function == "mish":
        x = file.values(op.inputs[0], op)
        gate = Steps(file, op).apply("Tanh", [file.node("Softplus", [x], f"{op.name}/softplus")])
        file.result(op, "Mul", [x, gate])
    else:
        _write_gelu(file, op)


def _write_table(file: OnnxFile, op: Unary) -> None:
    """Write a lookup of the table's rows, whose indices are the uint8 codes."""
    rows = file.node("Cast", [op.inputs[0]], f"{op.name}/rows", to=TensorProto.INT32)
    assert op.table is not None
    table = file.constant(f"{op.name}/table", (op.table.astype(np.int16) + SHIFT).astype(np.uint8))
    file.node("Gather", [table, rows], op.output, axis=0)


def _write_gelu(file: OnnxFile, op: Unary) -> None:
    """Write 0.5 x (1 + erf(x / sqrt(2))), or with tanh(sqrt(2 / pi) (x + 0.044715 x^3)) in place of erf."""
    steps, x = Steps(file, op), file.values(op.inputs[0], op)
    if op.function == "gelu":
        bend = steps.apply("Erf", [steps.apply("Div", [x, steps.number(math.sqrt(2))])])
    else:
        cube = steps.apply("Mul", [steps.apply("Mul", [x, x]), x])
        inner = steps.apply("Add", [steps.apply("Mul", [cube, steps.number(0.044715)]), x])
        bend = steps.apply("Tanh", [steps.apply("Mul", [inner, steps.number(math.sqrt(2 / math.pi))])])
    twice = steps.apply("Mul", [x, steps.apply("Add", [bend, steps.number(1)])])
    file.result(op, "Mul", [twice, steps.number(0.5)])


WRITERS: dict[type[Operator], Writer] = {Unary: _write_unary}
