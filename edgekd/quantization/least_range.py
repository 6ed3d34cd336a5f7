"""How narrow a range may be: no kernel rescales to steps that are far finer than those they are computed from.

Ranges are that narrow where values never stir: behind a layer that has died, or in a tensor less itself.
"""

from edgekd.graph.operators import weighted_training
from edgekd.graph.operators.forms import Simulated
from edgekd.graph.ops import STORED, LayerNorm, MatMul, Mul, Quantize, Softmax
from edgekd.graph.structure import QMAX, QMIN, Operator, Weighted

LARGEST_RATIO = 100
"""Output steps to a step of the input. TFLite's hard-swish ends at 128, XNNPACK's and onnxruntime's kernels at 256."""

LEAST_SOFTMAX_STEP = 2.0**-25
"""Of the input times beta: TFLite Micro ends the process at 2^-26 and below."""

BY_REAL_VALUES = (*STORED, LayerNorm, Quantize)
"""Operators that no step of an input limits."""


def least_span(sim: Simulated, op: Operator) -> float:
    """How far apart an output's lowest and highest value must be at least."""
    if isinstance(op, Weighted):
        return weighted_training.least_span(sim, op)
    if isinstance(op, BY_REAL_VALUES):
        return 0.0
    scales = [sim.quantization(name).scale for name in op.inputs]
    step = scales[0] * scales[1] if isinstance(op, Mul | MatMul) else max(scales)
    return step * (float(2 ** sim.tensors[op.output].bits) - 1) / LARGEST_RATIO


def read_by_softmax(op: Softmax) -> float:
    """How far apart the lowest and highest value of a softmax's input must be at least, for TFLite Micro to take it."""
    return (QMAX - QMIN) * LEAST_SOFTMAX_STEP / op.beta
