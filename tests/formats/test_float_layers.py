"""Layers that are kept in float stay so in the runtimes, and their size shows it."""

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.catalog.runtimes import RUNTIMES
from edgekd.formats import onnx, tflite
from edgekd.graph.capture import capture
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.structure import Graph
from edgekd.quantization.islands import with_islands
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import layers


def network() -> nn.Module:
    """Its channels are of very different strength, so that one int8 scale for all weights would be plain to see."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU6(), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5)
    )
    with torch.no_grad():
        model[0].weight *= torch.logspace(-2, 1, 8).reshape(-1, 1, 1, 1)
        model[2].weight /= torch.logspace(-2, 1, 8).reshape(1, -1, 1, 1)
        model[5].weight *= torch.logspace(-1, 1, 256)
    return model.eval()


def quantized(kept: list[str], kernels: str) -> tuple[Graph, np.ndarray]:
    simulation = Simulation(with_islands(capture(network(), (3, 8, 8)), kept), kernels)  # type: ignore[arg-type]
    x = torch.randn(64, 3, 8, 8)
    simulation.calibrate([x])
    graph = simulation.quantized_graph()
    return graph, quantize(x.numpy(), graph.quantization("input"))


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
@pytest.mark.parametrize("kept", [["0"], ["5"], ["0", "2", "5"]])
def test_a_layer_in_float_is_computed_in_float(kept: list[str], runtime: str) -> None:
    # Only the order of float sums is the runtime's own: now and then a value falls on the other side of a step.
    found = RUNTIMES[runtime]
    graph, codes = quantized(kept, found.kernels)
    rows = layers(found, graph, (codes,))
    assert any(row.layer.endswith("/codes") for row in rows)
    for row in rows:
        assert row.differing <= 0.001 * row.outputs, row
        assert row.largest_steps <= 2, row


def test_weights_of_float_layers_are_float_in_the_files() -> None:
    whole, mixed = (quantized(kept, "xnnpack")[0] for kept in ([], ["5"]))
    weights = 4 * 64 * 5
    for writer in (tflite, onnx):
        grown = len(writer.serialize(mixed)) - len(writer.serialize(whole))
        assert 2.5 * weights < grown < 3 * weights + 1500
