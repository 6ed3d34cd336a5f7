"""Float layers of a mixed graph are float in the runtimes and in the size of the files."""

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
    """Return a network with very different channels, in which one int8 scale for all weights would be visible."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU6(), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5)
    )
    with torch.no_grad():
        model[0].weight *= torch.logspace(-2, 1, 8).reshape(-1, 1, 1, 1)
        model[2].weight /= torch.logspace(-2, 1, 8).reshape(1, -1, 1, 1)
        model[5].weight *= torch.logspace(-1, 1, 256)
    return model.eval()


def quantized(float_layers: list[str], kernels: str) -> tuple[Graph, np.ndarray]:
    simulation = Simulation(with_islands(capture(network(), (3, 8, 8)), float_layers), kernels)  # type: ignore[arg-type]
    x = torch.randn(64, 3, 8, 8)
    simulation.calibrate([x])
    graph = simulation.quantized_graph()
    return graph, quantize(x.numpy(), graph.quantization("input"))


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
@pytest.mark.parametrize("float_layers", [["0"], ["5"], ["0", "2", "5"]])
def test_a_layer_in_float_is_computed_in_float(float_layers: list[str], runtime: str) -> None:
    # The runtimes add floats in an order of their own, so that a few values round to a neighbouring code.
    spec = RUNTIMES[runtime]
    graph, codes = quantized(float_layers, spec.kernels)
    rows = layers(spec, graph, (codes,))
    assert any(row.layer.endswith("/codes") for row in rows)
    for row in rows:
        assert row.differing <= 0.001 * row.outputs, row
        assert row.largest_steps <= 2, row


def test_weights_of_float_layers_are_float_in_the_files() -> None:
    int8, mixed = (quantized(names, "xnnpack")[0] for names in ([], ["5"]))
    weights = 4 * 64 * 5
    for writer in (tflite, onnx):
        growth = len(writer.serialize(mixed)) - len(writer.serialize(int8))
        assert 2.5 * weights < growth < 3 * weights + 1500
