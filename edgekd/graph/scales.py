"""Which tensors share a scale, and the scale and zero point that cover a range."""

import numpy as np

from edgekd.graph.islands import real_tensors
from edgekd.graph.ops import SAME_SCALE
from edgekd.graph.structure import QMAX, QMIN, Graph, Quantization


def scale_owners(graph: Graph) -> dict[str, str]:
    """tensor -> the tensor whose range it shares: itself, or its input's through operators that can't rescale.

    Indices and the insides of float islands have no scale, and so no owner.
    """
    real = real_tensors(graph)
    owners: dict[str, str] = {}
    for name in graph.inputs:
        if graph.tensors[name].kind == "real":
            owners[name] = name
    for op in graph.operators:
        if op.output not in real and graph.tensors[op.output].kind == "real":
            owners[op.output] = owners[op.inputs[0]] if isinstance(op, SAME_SCALE) else op.output
    return owners


def from_range(low: float, high: float) -> Quantization:
    """The scale and zero point that cover [low, high] and hold zero exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, 1e-6) / (QMAX - QMIN))
    zero_point = int(np.clip(np.rint(QMIN - low / scale), QMIN, QMAX))
    return Quantization(float(scale), zero_point)
