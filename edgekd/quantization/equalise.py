"""Cross-layer equalisation: channels of one tensor made equally strong, without changing what the network computes.

Nagel et al. (2019), "Data-free quantization through weight equalization and bias correction", section 4.1: where
nothing but a ReLU (or an operator that moves or pools values) stands between two layers, a channel may be divided by
s > 0 in the first layer's weights and bias and multiplied by s in the second's weights. A ReLU6 saturates, so dividing
would change what it lets through: the paper puts a ReLU in its place, and we leave such pairs alone.

Weights are int8 per output channel here, so it is the activations and the second layer's weights that gain; where a
trained network's channels are of like strength already, as batch norm leaves them, there is little to gain.
"""

from dataclasses import dataclass, replace

import numpy as np

from edgekd.graph.ops import Relu
from edgekd.graph.structure import Array, Graph, Weighted
from edgekd.quantization.channels import (
    at_input,
    carry,
    input_scaled,
    largest_by_input,
    shared_parameters,
)

SWEEPS = 30
SETTLED = 1e-3
"""Largest change of a channel, as a natural logarithm, at which the sweeps over chains of layers end."""

DEAD = 1e-6
"""A channel weaker than this share of the strongest is left as it is."""


@dataclass(frozen=True)
class Pair:
    """Two layers by name.

    Attributes:
        channels: for each input channel of the second, the output channel of the first that it holds.
    """

    first: str
    second: str
    channels: Array


def equalised(graph: Graph) -> Graph:
    """A float graph that computes the same, in which the two layers of every pair are equally strong by channel."""
    layers = {op.name: op for op in graph.weighted()}
    found = pairs(graph)
    for _ in range(SWEEPS):
        change = 0.0
        for pair in found:
            first, second = layers[pair.first], layers[pair.second]
            factors = _factors(first, second, pair.channels)
            columns = factors.reshape(-1, *[1] * (first.weight.ndim - 1))
            layers[pair.first] = replace(
                first,
                weight=(first.weight / columns).astype(np.float32),
                bias=(first.bias / factors).astype(np.float32),
            )
            layers[pair.second] = replace(second, weight=input_scaled(second, factors[pair.channels]))
            change = max(change, float(np.abs(np.log(factors)).max()))
        if change < SETTLED:
            break
    return replace(graph, operators=tuple(layers.get(op.name, op) for op in graph.operators))


def pairs(graph: Graph) -> list[Pair]:
    """The layers that follow one another with nothing between them that a factor can't pass through."""
    shared = shared_parameters(graph)
    firsts = (op for op in graph.weighted() if op.name not in shared)
    found = (_followed(op, graph) for op in firsts if op.activation != "relu6")
    return [pair for pair in found if pair is not None and pair.second not in shared]


def _factors(first: Weighted, second: Weighted, channels: Array) -> Array:
    """s = sqrt(r1 / r2), with which both ranges become sqrt(r1 * r2) (equation 11 of the paper).

    r1 holds the bias as well: a channel that is nearly constant must not be blown up for its small weights.
    """
    rows = np.abs(first.weight).reshape(len(first.weight), -1).max(axis=1)
    r1 = np.maximum(rows, np.abs(first.bias)).astype(np.float64)
    r2 = np.zeros(len(r1))
    np.maximum.at(r2, channels, largest_by_input(second))
    alive = (r1 > DEAD * r1.max()) & (r2 > DEAD * r2.max())
    factors: Array = np.sqrt(np.divide(r1, r2, out=np.ones(len(r1)), where=alive))
    return factors


def _followed(op: Weighted, graph: Graph) -> Pair | None:
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
            values = carry(reader, values, graph)
        elif not (isinstance(reader, Relu) and reader.activation == "relu"):
            return None
        tensor = reader.output
    return None
