"""Values for each channel: propagated through operators that move or pool values, and applied to weights."""

import numpy as np
import torch

from edgekd.graph.operators.training import in_float
from edgekd.graph.structure import Array, Graph, Operator, Weighted


def propagate(op: Operator, values: Array, graph: Graph) -> Array:
    """Propagate a value for each element of the input to the output of an operator that `moves`, without a batch."""
    output = in_float(op, torch.tensor(values)[None], shape=graph.tensors[op.output].shape)
    on_output: Array = output[0].numpy()
    return on_output


def at_input(op: Weighted, values: Array) -> Array | None:
    """The value of each input channel, (in channels,), from one for each element; None if a channel has several."""
    channels = np.moveaxis(values, op.channel_axis, 0)
    rows = channels.reshape(len(channels), -1)
    return rows[:, 0] if np.allclose(rows, rows[:, :1], rtol=1e-6, atol=0) else None


def scale_inputs(op: Weighted, factors: Array) -> Array:
    """The weights with those that read input channel i multiplied by `factors[i]`."""
    weights: Array = (by_input(op) * factors.reshape(op.groups, 1, -1, 1)).reshape(op.weight.shape)
    return weights.astype(np.float32)


def largest_by_input(op: Weighted) -> Array:
    """The largest absolute weight that reads each input channel, (in channels,)."""
    largest: Array = np.abs(by_input(op)).max(axis=(1, 3)).reshape(-1)
    return largest


def shared_parameters(graph: Graph) -> set[str]:
    """The names of all operators that share parameters with another one."""
    return {name for op in graph.weighted() if op.shares for name in (op.name, op.shares)}


def by_input(op: Weighted) -> Array:
    """The weights as (groups, out / groups, in / groups, taps): channels of the input are groups by in / groups."""
    out, inputs = op.weight.shape[:2]
    weights: Array = op.weight.reshape(op.groups, out // op.groups, inputs, -1)
    return weights
