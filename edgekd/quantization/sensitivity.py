"""What each layer's rounding alone does to the network's answer: which layers to keep in float, or to look at first.

One layer at a time has its weights and its output rounded as they ship, the rest stays float, and the noise that this
leaves in the logits is weighed against them: the signal-to-quantisation-noise ratio. (Nagel et al., 2021, "A white
paper on neural network quantization", section 3.3, measure the score so, which needs far more samples.)
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from edgekd.graph import cost
from edgekd.graph.operators.training import in_float
from edgekd.graph.structure import Operator, Weighted
from edgekd.quantization.bias_correction import deployed
from edgekd.quantization.simulate import Simulation

MOST_DB = 150.0
"""Stands for no noise at all; float32's own is near it."""


@dataclass(frozen=True)
class Row:
    """`sqnr_db`: ten times the logarithm of the answers' power to that of the noise in them."""

    layer: str
    operator: str
    sqnr_db: float


@torch.no_grad()
def sensitivity(simulation: Simulation, batches: Iterable[Tensor | tuple[Tensor, ...]]) -> tuple[Row, ...]:
    """A row for each operator that rounds, and for each input, in order of execution; the simulation is calibrated.

    Args:
        batches: of real inputs; the network is run on each as often as it has operators.
    """
    graph = simulation.graph
    layers = [name for name in graph.inputs if name in simulation.scale_owner]
    layers += [op.name for op in graph.operators if op.output in simulation.ranged]
    signal, noise = 0.0, dict.fromkeys(layers, 0.0)
    for x in batches:
        given = x if isinstance(x, tuple) else (x,)
        exact = _answers(simulation, given, "")
        signal += float(exact.square().sum())
        for layer in layers:
            noise[layer] += float((_answers(simulation, given, layer) - exact).square().sum())
    described = {op.name: cost.describe(op) for op in graph.operators}
    return tuple(Row(layer, described.get(layer, "input"), _decibels(signal, noise[layer])) for layer in layers)


def _answers(simulation: Simulation, given: tuple[Tensor, ...], rounded: str) -> Tensor:
    """(N, outputs) in float64, with one operator or input rounded as it ships."""

    def execute(op: Operator, *inputs: Tensor) -> Tensor:
        if op.name != rounded:
            return simulation.in_float(op, *inputs)
        if not isinstance(op, Weighted):
            return _rounded(simulation, op.output, simulation.in_float(op, *inputs))
        parameters = (torch.from_numpy(values) for values in deployed(simulation, op))
        found = in_float(op, *inputs, *parameters, shape=simulation.tensors[op.output].shape)
        return _rounded(simulation, op.output, found)

    values = dict(zip(simulation.graph.inputs, given, strict=True))
    if rounded in values:
        values[rounded] = _rounded(simulation, rounded, values[rounded])
    outputs = simulation.graph.outputs
    found = {name: value for name, value in simulation.walk(values, execute) if name in outputs}
    return torch.cat([found[name].flatten(1) for name in outputs], dim=1).double()


def _rounded(simulation: Simulation, tensor: str, values: Tensor) -> Tensor:
    return simulation.coded(tensor, values) * simulation.quantization(tensor).scale


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return MOST_DB
    return min(MOST_DB, 10 * math.log10(max(signal, 1e-30) / noise))
