"""The TFLite forms of operators that work value by value."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.layout import Layout
from edgekd.formats.tflite.flatbuffer import ACTIVATIONS, Code, FlatbufferFile, Writer
from edgekd.formats.tflite.packing import quantization
from edgekd.graph.ops import Add, Mul, Prelu, Relu, Sub
from edgekd.graph.structure import Operator, Quantization

BINARY = {
    Add: (Code.ADD, schema.AddOptionsT),
    Sub: (Code.SUB, schema.SubOptionsT),
    Mul: (Code.MUL, schema.MulOptionsT),
}


def _write_binary(file: FlatbufferFile, op: Add | Sub | Mul) -> None:
    code, make_options = BINARY[type(op)]
    options = make_options()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    if code != Code.MUL and file.graph.tensors[op.output].bits == 16:
        options.potScaleInt16 = False  # scales are not powers of two
    file.operator(code, file.version(op, 2), file.operands(op), file.output(op), options)


def _write_relu(file: FlatbufferFile, op: Relu) -> None:
    code = Code.RELU6 if op.activation == "relu6" else Code.RELU
    file.operator(code, file.version(op, 2), file.operands(op), file.output(op))


def _write_prelu(file: FlatbufferFile, op: Prelu) -> None:
    (source,) = file.inputs(op)
    slope = op.slope.reshape(-1, *[1] * (len(file.graph.tensors[op.output].shape) - 1))
    values = Layout.of(slope.shape, file.input_orders[op.output]).arrange(slope)
    scale = quantization(Quantization(op.slope_scale, 0)) if slope.dtype == np.int8 else None
    slopes = file.constant(f"{op.name}/slope", values, scale)
    file.operator(Code.PRELU, 1, [source, slopes], file.output(op))


WRITERS: dict[type[Operator], Writer] = {
    Add: _write_binary,
    Sub: _write_binary,
    Mul: _write_binary,
    Relu: _write_relu,
    Prelu: _write_prelu,
}
