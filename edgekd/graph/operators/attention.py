"""Products of activations, and softmax over the last axis."""

import numpy as np

from edgekd.graph.operators import softmax
from edgekd.graph.operators.arithmetic import f32, fixed_point, requantize, round_twice, saturate
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import QMAX, QMIN, Array, Kernels, Operator, Quantization


def rounds_once(b: Quantization, kernels: Kernels) -> bool:
    """Is a product of activations rescaled in float32, and so rounded once?

    XNNPACK does so only where the second operand has the zero point 0.
    """
    return kernels == "onnxruntime" or (kernels == "xnnpack" and b.zero_point == 0)


def _matmul(op: MatMul, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    a, b, output = (scales.quantization(name) for name in (*op.inputs, op.output))
    x, y = (codes.astype(np.float64) - q.zero_point for codes, q in zip(inputs, (a, b), strict=True))
    acc = (x.swapaxes(-1, -2) if op.transpose_a else x) @ (y.swapaxes(-1, -2) if op.transpose_b else y)
    if rounds_once(b, kernels):
        ratio = f32(a.scale) * f32(b.scale) / f32(output.scale)
        return requantize(acc, np.asarray(ratio), output, QMIN, QMAX)
    mantissa, exponent = fixed_point(np.asarray(a.scale * b.scale / output.scale))
    return saturate(round_twice(acc, mantissa, exponent) + output.zero_point)


def _softmax(op: Softmax, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    scale = scales.quantization(op.inputs[0]).scale
    if kernels == "xnnpack":
        return softmax.by_table(inputs[0], f32(scale) * f32(op.beta))
    if kernels == "onnxruntime":
        return softmax.by_scaled_table(inputs[0], f32(scale) * f32(op.beta))
    return softmax.in_fixed_point(inputs[0], scale * float(f32(op.beta)))  # it multiplies in double precision


REFERENCE: dict[type[Operator], ReferenceForm] = {MatMul: _matmul, Softmax: _softmax}
