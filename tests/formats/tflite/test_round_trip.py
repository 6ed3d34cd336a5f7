"""Tests that a TFLite file that edgekd writes is read as a graph with the same codes, in each rounding."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from support.networks import Everything, lived_in, quantized
from support.random_graphs import Drawn
from support.random_operators import STROKES, graphs
from torch import Tensor, nn

from edgekd import catalog
from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.tflite import serialize
from edgekd.formats.tflite.reading import deserialize
from edgekd.graph import cost, reference
from edgekd.graph.capture import capture
from edgekd.graph.capture.simplify import simplified
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.structure import Array, Graph, Kernels
from edgekd.quantization.int16 import with_int16_layers
from edgekd.quantization.islands import with_islands
from edgekd.quantization.simulate import Simulation

QUICK = settings(
    max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LONG = settings(QUICK, max_examples=150, derandomize=False, print_blob=True)
ROUNDINGS: tuple[Kernels, ...] = ("xnnpack", "tflm")


def assert_same_codes(graph: Graph, codes: tuple[Array, ...], kernels: Kernels) -> Graph:
    """Write a graph as a file, check that the file's graph computes the same codes, and return that graph."""
    reread = deserialize(serialize(graph))
    assert [reread.tensors[n].shape for n in reread.inputs] == [graph.tensors[n].shape for n in graph.inputs]
    expected, actual = (reference.run_all(g, *codes, kernels=kernels) for g in (graph, reread))
    assert [a.shape for a in actual] == [b.shape for b in expected]
    assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))
    return reread


def round_trip(theme: str, how: settings) -> None:
    @how
    @given(graphs(theme))
    def each(drawn: Drawn) -> None:
        graph = simplified(drawn.graph)
        assume(not set(graph.outputs) & set(graph.inputs) and len(set(graph.outputs)) == len(graph.outputs))
        for kernels in ROUNDINGS:
            simulation = Simulation(graph, kernels).eval()
            simulation.calibrate([drawn.inputs])
            whole = simulation.quantized_graph()
            codes = tuple(
                reference.input_codes(whole, name, x.numpy())
                for name, x in zip(whole.inputs, drawn.inputs, strict=True)
            )
            try:
                assert_same_codes(whole, codes, kernels)
            except UnsupportedOperatorError as refusal:
                assert "has no TFLite form" in refusal.what or "TFLite" in refusal.what

    each()


@pytest.mark.parametrize("theme", STROKES)
def test_drawn_graphs_come_back_with_the_same_codes(theme: str) -> None:
    round_trip(theme, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("theme", STROKES)
def test_thousands_of_drawn_graphs_come_back_with_the_same_codes(theme: str) -> None:
    round_trip(theme, LONG)


MODELS: dict[str, tuple[int, ...]] = {
    "conv1d": (3, 64),
    "dscnn": (1, 49, 10),
    "gru_keyword": (9, 10),
    "mobilenetv2": (3, 32, 32),
    "mobilenetv3": (3, 32, 32),
    "resnet8": (3, 16, 16),
    "squeezenet": (3, 32, 32),
    "text_encoder": (12,),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_the_catalog_comes_back_with_its_costs(model: str) -> None:
    shape = MODELS[model]
    torch.manual_seed(0)
    network = catalog.load("model", model)(classes=5, input_shape=list(shape)).eval()
    example = torch.full(shape, 999) if model == "text_encoder" else shape
    _, graph, codes = quantized(network, example, samples=4)
    reread = assert_same_codes(graph, codes, "xnnpack")
    assert cost.macs(reread) == cost.macs(graph)
    # A file stores equal constants only once.
    assert 0.9999 * cost.parameters(graph) < cost.parameters(reread) <= cost.parameters(graph)


def test_a_network_of_many_operators_comes_back() -> None:
    _, graph, codes = quantized(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    assert_same_codes(graph, codes, "tflm")


class Mixed(nn.Module):
    """A network of three layers, some of which the tests keep in float or give 16-bit activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.last(x.mean((2, 3)))


@pytest.mark.parametrize("wide", [True, False])
def test_float_and_16_bit_layers_come_back(wide: bool) -> None:
    torch.manual_seed(0)
    captured = capture(Mixed().eval(), (3, 8, 8))
    graph = with_int16_layers(captured, ["first", "second"]) if wide else with_islands(captured, ["second"])
    simulation = Simulation(graph, "xnnpack").eval()
    x = torch.randn(16, 3, 8, 8)
    simulation.calibrate([x])
    quantized_graph = simulation.quantized_graph()
    assert_same_codes(
        quantized_graph, (quantize(x.numpy(), quantized_graph.quantization(quantized_graph.input)),), "xnnpack"
    )


class SlopesOfRows(nn.Module):
    """A PReLU whose channels are not the last axis of the file's tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.PReLU(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.slopes(x.permute(0, 2, 1, 3))


@pytest.mark.parametrize("shape", [(3, 6, 5), (1, 6, 1), (6, 6, 6)])
def test_slopes_come_back_on_whichever_axis_they_lie(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = SlopesOfRows().eval()
    nn.init.uniform_(network.slopes.weight, -1, 1)
    _, graph, codes = quantized(network, shape)
    assert_same_codes(graph, codes, "xnnpack")
