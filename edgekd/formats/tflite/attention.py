"""The TFLite forms of products of activations and of softmax."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import Operator


def _write_matmul(file: FlatbufferFile, op: MatMul) -> None:
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = op.transpose_a, op.transpose_b
    file.operator(Code.BATCH_MATMUL, file.version(op, 2), file.plain_inputs(op), file.output(op), options)


def _write_softmax(file: FlatbufferFile, op: Softmax) -> None:
    options = schema.SoftmaxOptionsT()
    options.beta = op.beta
    file.operator(Code.SOFTMAX, file.version(op, 2), file.plain_inputs(op), file.output(op), options)


WRITERS: dict[type[Operator], Writer] = {MatMul: _write_matmul, Softmax: _write_softmax}
