"""Forecasts size, memory and cost of a student before training: its int8 file is written with placeholder ranges."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from edgekd.catalog.formats import FORMATS, format_module, judged_format
from edgekd.graph import cost, plan
from edgekd.graph.capture import Example, capture
from edgekd.graph.structure import Graph, Kernels
from edgekd.quantization.int16 import with_int16_layers
from edgekd.quantization.islands import with_islands
from edgekd.quantization.prepare import matching_operators
from edgekd.quantization.simulate import Simulation


@dataclass(frozen=True)
class Forecast:
    """What a student will need on the device.

    Attributes:
        size_bytes: the size of the int8 file that the limits apply to, which does not depend on the weights' values.
        peak_ram_bytes: the memory of the activations, by the memory plan.
        peak_operator: the operator at which they are largest, as a reader knows it: "block1.conv1 (conv2d 3x3 + relu)".
        graph: the float graph.
    """

    size_bytes: int
    peak_ram_bytes: int
    peak_operator: str
    macs: int
    parameters: int
    graph: Graph


def forecast(
    model: nn.Module,
    example: Example,
    labels: Sequence[str] = (),
    formats: Collection[str] = tuple(FORMATS),
    float_layers: Sequence[str] = (),
    int16_layers: Sequence[str] = (),
    decoding: str = "",
    kernels: Kernels = "xnnpack",
) -> Forecast:
    """Capture a model and measure its int8 form.

    Args:
        formats: the formats that must have a form for every operator.
        kernels: the kernel set that the student is to be trained to.
        float_layers, int16_layers: names or patterns of operators that stay in float, or have 16-bit activations.
        decoding: the decoding in the files' metadata.

    Raises:
        ConfigError: a pattern matches no operator of the model.
        UnsupportedOperatorError: an operator has no form in the graph or in a format.
    """
    graph = capture(model, example)
    wide = matching_operators(graph, int16_layers, "int16_layers")
    simulation = Simulation(with_int16_layers(with_islands(graph, matching_operators(graph, float_layers)), wide))
    with torch.no_grad():
        simulation.lows.fill_(-1.0)
        simulation.highs.fill_(1.0)
    int8 = simulation.quantized_graph()
    sizes = {
        name: len(format_module(name).serialize(int8, labels, decoding=decoding, kernels=kernels)) for name in formats
    }
    size = sizes[judged_format(formats)]
    widest = cost.named(plan.peak_operator(int8))
    return Forecast(size, plan.peak_ram_bytes(int8), widest, cost.macs(graph), cost.parameters(graph), graph)
