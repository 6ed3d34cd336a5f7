"""Operators that work value by value."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.exporters.tflite.flatbuffer import ACTIVATIONS, Code, FlatbufferFile, Writer
from edgekd.graph.ops import Add, Relu
from edgekd.graph.structure import Operator


def _write_add(file: FlatbufferFile, op: Add) -> None:
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    file.operator(Code.ADD, file.version(op, 2), file.inputs(op), file.output(op), options)


def _write_relu(file: FlatbufferFile, op: Relu) -> None:
    code = Code.RELU6 if op.activation == "relu6" else Code.RELU
    file.operator(code, file.version(op, 2), file.inputs(op), file.output(op))


WRITERS: dict[type[Operator], Writer] = {
    Add: _write_add,
    Relu: _write_relu,
}
