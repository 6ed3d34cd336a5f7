"""The TFLite forms of the boundaries of float islands."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Operator


def _write_dequantize(file: FlatbufferFile, op: Dequantize) -> None:
    file.operator(Code.DEQUANTIZE, file.version(op, 2), file.operands(op), file.output(op), schema.DequantizeOptionsT())


def _write_quantize(file: FlatbufferFile, op: Quantize) -> None:
    file.operator(Code.QUANTIZE, 1, file.operands(op), file.output(op), schema.QuantizeOptionsT())


WRITERS: dict[type[Operator], Writer] = {Dequantize: _write_dequantize, Quantize: _write_quantize}
