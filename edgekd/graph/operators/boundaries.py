"""The boundaries of a float island, where codes become real values and real values codes."""

from edgekd.graph.operators.arithmetic import dequantize, f32, quantize_as
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Array, Kernels, Operator


def _dequantize(op: Dequantize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return dequantize(inputs[0], scales.quantization(op.inputs[0]))


def _quantize(op: Quantize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return quantize_as(inputs[0].astype(f32), scales.quantization(op.output), kernels)


REFERENCE: dict[type[Operator], ReferenceForm] = {Dequantize: _dequantize, Quantize: _quantize}
