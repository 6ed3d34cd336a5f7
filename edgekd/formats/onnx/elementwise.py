"""The ONNX forms of operators that work value by value."""

import numpy as np

from edgekd.formats.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.ops import Add, Mul, Prelu, Relu, Sub
from edgekd.graph.structure import Operator, activation_range


def _write_binary(file: OnnxFile, op: Add | Sub | Mul) -> None:
    file.result(op, type(op).__name__, [file.values(name, op) for name in op.inputs])


def _write_relu(file: OnnxFile, op: Relu) -> None:
    if file.graph.tensors[op.output].quantization is None:
        file.activate(op.activation, op.inputs[0], op.output)
        return
    low, high = activation_range(op.activation, file.graph.quantization(op.output))
    ends = [file.constant(f"{op.name}/{n}", np.uint8(v + SHIFT)) for n, v in (("min", low), ("max", high))]
    file.node("Clip", [op.inputs[0], *ends], op.output)


def _write_prelu(file: OnnxFile, op: Prelu) -> None:
    slope = op.slope.reshape(-1, *[1] * (len(file.graph.tensors[op.output].shape) - 1))
    slopes = file.constant(f"{op.name}/slope", slope)
    if slope.dtype == np.int8:
        scale = file.constant(f"{op.name}/slope_scale", np.float32(op.slope_scale))
        zero = file.constant(f"{op.name}/slope_zero_point", np.int8(0))
        slopes = file.node("DequantizeLinear", [slopes, scale, zero], f"{op.name}/slopes")
    file.result(op, "PRelu", [file.values(op.inputs[0], op), slopes])


WRITERS: dict[type[Operator], Writer] = {
    Add: _write_binary,
    Sub: _write_binary,
    Mul: _write_binary,
    Relu: _write_relu,
    Prelu: _write_prelu,
}
