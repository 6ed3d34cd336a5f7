"""Where codes become real values and back: the boundaries of a float island."""

import numpy as np

from edgekd.graph.operators.arithmetic import Form, Scales, dequantize, f32, saturated
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Array, Kernels, Operator, Quantization


def rounded(values: Array, output: Quantization, kernels: Kernels) -> Array:
    """Real values to codes by a runtime's own QUANTIZE.

    onnxruntime divides by the scale and rounds half to even; XNNPACK multiplies by the scale's inverse; TFLite Micro
    divides and rounds half away from zero.
    """
    scale = f32(output.scale)
    if kernels == "xnnpack":
        steps = np.rint(values * (f32(1) / scale))
    elif kernels == "onnxruntime":
        steps = np.rint(values / scale)
    else:
        quotient = values / scale
        steps = np.trunc(np.abs(quotient.astype(np.float64)) + 0.5) * np.sign(quotient)
    return saturated(steps + output.zero_point)


def _dequantize(op: Dequantize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return dequantize(inputs[0], scales.quantization(op.inputs[0]))


def _quantize(op: Quantize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return rounded(inputs[0].astype(f32), scales.quantization(op.output), kernels)


FORMS: dict[type[Operator], Form] = {Dequantize: _dequantize, Quantize: _quantize}
