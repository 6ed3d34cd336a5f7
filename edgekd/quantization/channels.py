"""What is said of each channel of a tensor, read behind operators that only move or pool values, and on weights."""

import numpy as np
import torch

from edgekd.graph.operators.training import in_float
from edgekd.graph.structure import Array, Graph, Operator, Weighted


def carry(op: Operator, values: Array, graph: Graph) -> Array:
    """A value for each element of the input, as it is on the output of an operator that `moves`; without a batch."""
    moved = in_float(op, torch.tensor(values)[None], shape=graph.tensors[op.output].shape)
    on_output: Array = moved[0].numpy()
    return on_output


def at_input(op: Weighted, values: Array) -> Array | None:
    """(in channels,) of a value for each element of the operator's input; None where a channel has several."""
    channels = np.moveaxis(values, op.channel_axis, 0)
    rows = channels.reshape(len(channels), -1)
    return rows[:, 0] if np.allclose(rows, rows[:, :1], rtol=1e-6, atol=0) else None


def input_scaled(op: Weighted, by: Array) -> Array:
    """The weights, those that read channel i of the input times `by[i]`."""
    scaled: Array = (by_input(op) * by.reshape(op.groups, 1, -1, 1)).reshape(op.weight.shape)
    return scaled.astype(np.float32)


def largest_by_input(op: Weighted) -> Array:
    """(in channels,): the largest of the weights that read each channel of the input."""
    largest: Array = np.abs(by_input(op)).max(axis=(1, 3)).reshape(-1)
    return largest


def shared_parameters(graph: Graph) -> set[str]:
    """Names of the operators whose parameters other operators use too, and of those."""
    return {name for op in graph.weighted() if op.shares for name in (op.name, op.shares)}


def by_input(op: Weighted) -> Array:
    """The weights as (groups, out / groups, in / groups, taps): channels of the input are groups by in / groups."""
    out, into = op.weight.shape[:2]
    shaped: Array = op.weight.reshape(op.groups, out // op.groups, into, -1)
    return shaped
