"""Operators that move codes and compute nothing."""

import numpy as np

from edgekd.graph.integer.arithmetic import Form, Scales
from edgekd.graph.ops import Constant, Pad, Reshape, Slice
from edgekd.graph.structure import Array, Kernels, Operator


def _pad(op: Pad, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return np.pad(inputs[0], ((0, 0), *op.amounts), constant_values=scales.quantization(op.output).zero_point)


def _slice(op: Slice, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return inputs[0][(slice(None), *(slice(*r) for r in op.ranges))]


def _reshape(op: Reshape, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return inputs[0].reshape(len(inputs[0]), *scales.tensors[op.output].shape)


def _constant(op: Constant, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return op.value[None]


FORMS: dict[type[Operator], Form] = {
    Pad: _pad,
    Slice: _slice,
    Reshape: _reshape,
    Constant: _constant,
}
