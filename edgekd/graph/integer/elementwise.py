"""Operators that work value by value on one tensor or two."""

import numpy as np

from edgekd.graph.integer.arithmetic import Form, Scales, f32, fixed_point_add, float_add, saturated
from edgekd.graph.ops import Add, Relu
from edgekd.graph.structure import QMIN, Array, Kernels, Operator, activation_range


def _add(op: Add, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    a, b, output = (scales.quantization(name) for name in (*op.inputs, op.output))
    x, y = inputs[0].astype(np.int64), inputs[1].astype(np.int64)
    if kernels == "xnnpack":
        by_a, by_b, shift = fixed_point_add(a, b, output)
        total = ((x - a.zero_point) * by_a + (y - b.zero_point) * by_b + (1 << (shift - 1))) >> shift
        total = total + output.zero_point
    else:  # two fused multiply-adds: each rounds its exact sum to float32 once
        ratio_a, ratio_b, constant = float_add(a, b, output)
        partial = ((y - QMIN) * ratio_b + constant).astype(f32)
        total = np.rint(((x - QMIN) * ratio_a + partial).astype(f32)) + QMIN
    return saturated(total, *activation_range(op.activation, output))


def _relu(op: Relu, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    low, high = activation_range(op.activation, scales.quantization(op.output))
    return saturated(inputs[0], low, high)


FORMS: dict[type[Operator], Form] = {
    Add: _add,
    Relu: _relu,
}
