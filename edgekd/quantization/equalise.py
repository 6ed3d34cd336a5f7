"""Cross-layer equalisation: gives the channels of a tensor equal ranges without changing what the network computes.

The method is that of Nagel et al. (2019), "Data-free quantization through weight equalization and bias correction",
section 4.1: where only a ReLU, or an operator that moves or pools values, stands between two layers, a channel can be
divided by s > 0 in the first layer's weights and bias and multiplied by s in the second's weights. A ReLU6 saturates,
so a division would change its result: the paper replaces it by a ReLU, we skip such pairs.

Weights are int8 per output channel here, so the activations and the second layer's weights gain. Where the channels of
a trained network have similar ranges already, as batch norm leaves them, there is little to gain.
"""

from dataclasses import dataclass, replace

import numpy as np

from edgekd.graph.ops import Relu
from edgekd.graph.structure import Array, Graph, Weighted
from edgekd.quantization.channels import (
    at_input,
    largest_by_input,
    propagate,
    scale_inputs,
    shared_parameters,
)

SWEEPS = 30
LEAST_CHANGE = 1e-3
"""The sweeps over all pairs end when no factor's natural logarithm is above this."""

LEAST_STRENGTH = 1e-6
"""Channels whose range is below this share of the largest one are not scaled."""


@dataclass(frozen=True)
class Pair:
    """Two consecutive layers, by their names.

    Attributes:
        channels: the output channel of the first layer that each input channel of the second holds.
    """

    first: str
    second: str
    channels: Array


def equalised(graph: Graph) -> Graph:
    """An equivalent float graph in which the two layers of every pair have equal ranges, channel by channel."""
    layers = {op.name: op for op in graph.weighted()}
    layer_pairs = pairs(graph)
    for _ in range(SWEEPS):
        change = 0.0
        for pair in layer_pairs:
            first, second = layers[pair.first], layers[pair.second]
            factors = _factors(first, second, pair.channels)
            columns = factors.reshape(-1, *[1] * (first.weight.ndim - 1))
            layers[pair.first] = replace(
                first,
                weight=(first.weight / columns).astype(np.float32),
                bias=(first.bias / factors).astype(np.float32),
            )
            layers[pair.second] = replace(second, weight=scale_inputs(second, factors[pair.channels]))
            change = max(change, float(np.abs(np.log(factors)).max()))
        if change < LEAST_CHANGE:
            break
    return replace(graph, operators=tuple(layers.get(op.name, op) for op in graph.operators))


def pairs(graph: Graph) -> list[Pair]:
    """The pairs of layers between which a positive factor passes through every operator."""
    shared_names = shared_parameters(graph)
    firsts = (op for op in graph.weighted() if op.name not in shared_names)
    candidates = (_pair_after(op, graph) for op in firsts if op.activation != "relu6")
    return [pair for pair in candidates if pair is not None and pair.second not in shared_names]


def _factors(first: Weighted, second: Weighted, channels: Array) -> Array:
    """The factors s = sqrt(r1 / r2), which make both ranges sqrt(r1 * r2) (equation 11 of the paper).

    r1 covers the bias as well: a nearly constant channel must not be scaled up for its small weights.
    """
    rows = np.abs(first.weight).reshape(len(first.weight), -1).max(axis=1)
    r1 = np.maximum(rows, np.abs(first.bias)).astype(np.float64)
    r2 = np.zeros(len(r1))
    np.maximum.at(r2, channels, largest_by_input(second))
    alive = (r1 > LEAST_STRENGTH * r1.max()) & (r2 > LEAST_STRENGTH * r2.max())
    factors: Array = np.sqrt(np.divide(r1, r2, out=np.ones(len(r1)), where=alive))
    return factors


def _pair_after(op: Weighted, graph: Graph) -> Pair | None:
    """The pair that begins with `op`, if there is one."""
    shape = graph.tensors[op.output].shape
    by_channel = [1] * len(shape)
    by_channel[op.channel_axis] = -1
    numbers = np.arange(len(op.weight), dtype=np.float32).reshape(by_channel)
    values, tensor = np.broadcast_to(numbers, shape).copy(), op.output
    while tensor not in graph.outputs:
        readers = graph.consumers(tensor)
        if len(readers) != 1 or readers[0].inputs.count(tensor) != 1:
            return None
        reader = readers[0]
        if isinstance(reader, Weighted):
            channels = at_input(reader, np.rint(values).astype(np.int64))
            return Pair(op.name, reader.name, channels) if channels is not None else None
        if reader.moves:
            values = propagate(reader, values, graph)
        elif not (isinstance(reader, Relu) and reader.activation == "relu"):
            return None
        tensor = reader.output
    return None
