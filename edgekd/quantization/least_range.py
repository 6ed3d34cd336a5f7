"""The narrowest range of an activation, since kernels can't rescale to steps far finer than those of their inputs.

Ranges are that narrow where values are constant: behind a layer that has died, or in a tensor minus itself.
"""

from math import prod

from edgekd.graph.operators import weighted_training
from edgekd.graph.operators.forms import Simulated
from edgekd.graph.structure import Operator, Weighted

LARGEST_RATIO = 100
"""Most output steps to a step of the input. TFLite's hard-swish takes up to 128, other kernels up to 256."""


def least_span(sim: Simulated, op: Operator) -> float:
    """The narrowest range of an operator's output, highest minus lowest value, to which its kernels can rescale."""
    if isinstance(op, Weighted):
        return weighted_training.least_span(sim, op)
    if op.free_scale:
        return 0.0
    scales = [sim.quantization(name).scale for name in op.inputs]
    step = prod(scales) if op.multiplies else max(scales)
    return step * (float(2 ** sim.tensors[op.output].bits) - 1) / LARGEST_RATIO
