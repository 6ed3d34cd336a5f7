"""How narrow a range may be: no kernel rescales to steps that are far finer than those they are computed from.

Ranges are that narrow where values never stir: behind a layer that has died, or in a tensor less itself.
"""

from math import prod

from edgekd.graph.operators import weighted_training
from edgekd.graph.operators.forms import Simulated
from edgekd.graph.structure import Operator, Weighted

LARGEST_RATIO = 100
"""Output steps to a step of the input. TFLite's hard-swish ends at 128, XNNPACK's and onnxruntime's kernels at 256."""


def least_span(sim: Simulated, op: Operator) -> float:
    """How far apart an output's lowest and highest value must be at least."""
    if isinstance(op, Weighted):
        return weighted_training.least_span(sim, op)
    if op.free_scale:
        return 0.0
    scales = [sim.quantization(name).scale for name in op.inputs]
    step = prod(scales) if op.multiplies else max(scales)
    return step * (float(2 ** sim.tensors[op.output].bits) - 1) / LARGEST_RATIO
