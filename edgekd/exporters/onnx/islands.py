"""The boundaries of float islands."""

from edgekd.exporters.onnx.model import OnnxFile, Writer
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Operator


def _write_dequantize(file: OnnxFile, op: Dequantize) -> None:
    file.node("DequantizeLinear", [op.inputs[0], *file.parameters(op.inputs[0])], op.output)


def _write_quantize(file: OnnxFile, op: Quantize) -> None:
    file.node("QuantizeLinear", [op.inputs[0], *file.parameters(op.output)], op.output)


WRITERS: dict[type[Operator], Writer] = {Dequantize: _write_dequantize, Quantize: _write_quantize}
