"""Where codes become real values and back: the boundaries of a float island."""

from edgekd.graph.integer.arithmetic import Form, Scales, dequantize, quantize
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Array, Kernels, Operator


def _dequantize(op: Dequantize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return dequantize(inputs[0], scales.quantization(op.inputs[0]))


def _quantize(op: Quantize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return quantize(inputs[0], scales.quantization(op.output))


FORMS: dict[type[Operator], Form] = {Dequantize: _dequantize, Quantize: _quantize}
