"""The sensitivity of the network's outputs to each layer's rounding, which shows what to keep in float.

One layer at a time has its weights and its output rounded as in the exported file while the others stay in float; the
noise in the outputs gives their signal-to-quantisation-noise ratio. (Nagel et al., 2021, "A white paper on neural
network quantization", section 3.3, measure the score instead, which needs far more samples.)
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
"""The value for no noise at all, near that of float32's own rounding."""


@dataclass(frozen=True)
class Row:
    """The sensitivity of one layer.

    Attributes:
        sqnr_db: the signal-to-quantisation-noise ratio of the network's outputs, in decibels.
    """

    layer: str
    operator: str
    sqnr_db: float


@torch.no_grad()
def sensitivity(simulation: Simulation, batches: Iterable[Tensor | tuple[Tensor, ...]]) -> tuple[Row, ...]:
    """A row for each operator that rounds, and for each input, in order of execution; the simulation is calibrated.

    Args:
        batches: real inputs; the network runs on each batch as often as it has operators.
    """
    graph = simulation.graph
    layers = [name for name in graph.inputs if name in simulation.scale_owner]
    layers += [op.name for op in graph.operators if op.output in simulation.range_index]
    signal, noise = 0.0, dict.fromkeys(layers, 0.0)
    for x in batches:
        inputs = x if isinstance(x, tuple) else (x,)
        exact = _outputs(simulation, inputs, "")
        signal += float(exact.square().sum())
        for layer in layers:
            noise[layer] += float((_outputs(simulation, inputs, layer) - exact).square().sum())
    descriptions = {op.name: cost.describe(op) for op in graph.operators}
    return tuple(Row(layer, descriptions.get(layer, "input"), _decibels(signal, noise[layer])) for layer in layers)


def _outputs(simulation: Simulation, batch: tuple[Tensor, ...], layer: str) -> Tensor:
    """The outputs (N, values) in float64 with the codes of one operator or input rounded, the others in float."""

    def execute(op: Operator, *inputs: Tensor) -> Tensor:
        if op.name != layer:
            return simulation.in_float(op, *inputs)
        if not isinstance(op, Weighted):
            return _round(simulation, op.output, simulation.in_float(op, *inputs))
        parameters = (torch.from_numpy(values) for values in deployed(simulation, op))
        output = in_float(op, *inputs, *parameters, shape=simulation.tensors[op.output].shape)
        return _round(simulation, op.output, output)

    values = dict(zip(simulation.graph.inputs, batch, strict=True))
    if layer in values:
        values[layer] = _round(simulation, layer, values[layer])
    names = simulation.graph.outputs
    outputs_by_name = {name: value for name, value in simulation.walk(values, execute) if name in names}
    return torch.cat([outputs_by_name[name].flatten(1) for name in names], dim=1).double()


def _round(simulation: Simulation, tensor: str, values: Tensor) -> Tensor:
    return simulation.to_codes(tensor, values) * simulation.quantization(tensor).scale


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return MOST_DB
    return min(MOST_DB, 10 * math.log10(max(signal, 1e-30) / noise))
