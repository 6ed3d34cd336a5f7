"""What a student will take on the device, known before it is trained: its int8 file is written with made-up ranges."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from edgekd.exporters import tflite
from edgekd.graph import cost, plan
from edgekd.graph.capture import capture
from edgekd.graph.simulate import Simulation
from edgekd.graph.structure import Graph


@dataclass(frozen=True)
class Forecast:
    """Attributes:
    size_bytes: of the int8 TFLite file, which does not depend on what the weights are.
    peak_ram_bytes: of the activations, by the memory plan.
    graph: the float graph.
    """

    size_bytes: int
    peak_ram_bytes: int
    macs: int
    parameters: int
    graph: Graph


def forecast(model: nn.Module, input_shape: tuple[int, ...], labels: Sequence[str] = ()) -> Forecast:
    """Capture a model and weigh its int8 form.

    Raises:
        UnsupportedOperatorError: where an operator has no form in the graph or the file.
    """
    graph = capture(model, input_shape)
    simulation = Simulation(graph)
    with torch.no_grad():
        simulation.lows.fill_(-1.0)
        simulation.highs.fill_(1.0)
    size = len(tflite.serialize(simulation.quantized_graph(), labels))
    return Forecast(size, plan.peak_ram_bytes(graph), cost.macs(graph), cost.parameters(graph), graph)
