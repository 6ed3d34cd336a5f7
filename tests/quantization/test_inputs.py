"""Networks that take raw sensor values compute the same function, and their input codes are the raw values."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edgekd.catalog.runtimes import RUNTIMES
from edgekd.graph.capture import capture
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.ops import Conv2d, Linear
from edgekd.graph.structure import Graph
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization.inputs import Normalisation, View, fold, of_pixels, of_samples, resolves
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import layers

RGB = Normalisation(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8)).astype(np.uint8)


def normalised(raw: np.ndarray, statistics: Normalisation | View) -> Tensor:
    """Normalise raw values in float32, as nn.batches.normalise does."""
    x = torch.from_numpy(raw).float()
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, std = (torch.tensor(v, dtype=torch.float32).reshape(shape) for v in (statistics.mean, statistics.std))
    return (x * statistics.scale - mean) / std


def difference(graph: Graph, normalisation: Normalisation, view: View, raw: np.ndarray) -> float:
    """Return the relative difference between the graph on normalised inputs and the folded graph on the view's."""
    with torch.no_grad():
        expected = Simulation(graph)(normalised(raw, normalisation))
        folded = Simulation(fold(graph, normalisation, view).graph)(normalised(raw, view))
    return float((folded - expected).abs().max() / expected.abs().max())


def test_codes_of_pixels_are_the_pixels() -> None:
    view = of_pixels(RGB)
    assert view.step == 1.0
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(3, axis=1)
    codes = quantize(normalised(pixels, view).numpy(), view.quantization)
    np.testing.assert_array_equal(codes, pixels.astype(int) - 128)


@given(st.floats(0, 1), st.floats(1e-3, 2), st.sampled_from([1, 3]))
def test_pixels_stay_pixels_under_any_normalisation(mean: float, std: float, channels: int) -> None:
    view = of_pixels(Normalisation(1 / 255, (mean,) * channels, (std,) * channels))
    pixels = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    codes = quantize(normalised(pixels, view).numpy(), view.quantization)
    np.testing.assert_array_equal(codes, pixels.astype(int) - 128)


def test_a_layer_by_hand() -> None:
    # x = (raw / 255 - 0.5) / 0.25 and y = 3 x + 1. Half of 255 is 127.5, so real zero is pixel 128; 0.25 of 255 is
    # 63.75, so real values are in units of 64 pixels: x = (64 u + 128) / 63.75 - 2 for u = (raw - 128) / 64
    layer = Linear("y", ("x",), "y", np.array([[3.0]], np.float32), np.array([1.0], np.float32))
    graph = Graph(("x",), ("y",), {"x": GraphTensor("x", (1,)), "y": GraphTensor("y", (1,))}, (layer,))
    normalisation = Normalisation(1 / 255, (0.5,), (0.25,))
    view = of_pixels(normalisation)
    assert (view.quantization.scale, view.quantization.zero_point) == (1 / 64, 0)
    result = fold(graph, normalisation, view).graph
    [folded] = result.weighted()
    assert folded.weight[0, 0] == pytest.approx(3 * 64 / 63.75)
    assert folded.bias[0] == pytest.approx(1 + 3 * (128 / 63.75 - 2))
    assert result.tensors["x"].fixed == view.quantization


class Net(nn.Module):
    def __init__(self, padding: int) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=padding), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


class TwoBranches(nn.Module):
    """A network that feeds strided slices and pools of its input into a grouped convolution and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 2, groups=3), nn.Linear(3 * 4 * 4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[:, :, ::2, 1:]).mean((2, 3)) + self.head(torch.max_pool2d(x, 2).flatten(1))


class AddsItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


@pytest.mark.parametrize("model", [Net(padding=0), TwoBranches()])
def test_the_folded_network_computes_the_same(model: nn.Module) -> None:
    graph, view = capture(model.eval(), (3, 8, 8)), of_pixels(RGB)
    folded = fold(graph, RGB, view)
    assert (folded.in_front, folded.border) == ("", 0.0)
    assert len(folded.graph.operators) == len(graph.operators)
    assert difference(graph, RGB, view, PIXELS) < 1e-5


def test_padding_stands_for_one_mean_of_all_channels_and_how_far_off_is_said() -> None:
    graph, view = capture(Net(padding=1).eval(), (3, 8, 8)), of_pixels(RGB)
    folded = fold(graph, RGB, view)
    assert folded.border == pytest.approx((114 / 255 - 0.406) / 0.225)
    assert 1e-3 < difference(graph, RGB, view, PIXELS) < 0.2
    grey = replace(RGB, mean=(114 / 255,) * 3)
    assert fold(graph, grey, of_pixels(grey)).border == pytest.approx(0, abs=1e-9)
    assert difference(graph, grey, of_pixels(grey), PIXELS) < 1e-5


def test_an_operator_in_front_normalises_where_the_first_layers_can_not() -> None:
    graph, view = capture(AddsItself().eval(), (3, 8, 8)), of_pixels(RGB)
    folded = fold(graph, RGB, view)
    front = folded.graph.operators[0]
    assert isinstance(front, Conv2d)
    assert (front.name, front.weight.shape, front.groups) == (folded.in_front, (3, 1, 1, 1), 3)
    assert difference(graph, RGB, view, PIXELS) < 1e-5  # padding and all


def test_a_vector_is_normalised_in_front_too() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) + x

    normalisation = Normalisation(1 / 255, (0.2, 0.4, 0.6, 0.8), (0.1, 0.2, 0.3, 0.4))
    graph, view = capture(Gated().eval(), (4,)), of_pixels(normalisation)
    folded = fold(graph, normalisation, view)
    assert [type(op).__name__ for op in folded.graph.operators[:3]] == ["Reshape", "Conv2d", "Reshape"]
    raw = np.random.default_rng(0).integers(0, 256, (8, 4)).astype(np.uint8)
    assert difference(graph, normalisation, view, raw) < 1e-5


def test_shared_parameters_absorb_only_if_all_that_use_them_agree() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x[:, 0]) + self.b(x[:, 1])

    graph = capture(Steps().eval(), (2, 3))
    first, second = graph.weighted()
    shared = replace(second, weight=first.weight, bias=first.bias, shares=first.name)
    graph = replace(graph, operators=tuple(shared if op.name == second.name else op for op in graph.operators))
    same, other = Normalisation(1 / 255, (0.5, 0.5), (0.2, 0.2)), Normalisation(1 / 255, (0.5, 0.4), (0.2, 0.3))
    assert not fold(graph, same, of_pixels(same)).in_front
    assert fold(graph, other, of_pixels(other)).in_front
    raw = np.random.default_rng(0).integers(0, 256, (8, 2, 3)).astype(np.uint8)
    for normalisation in (same, other):
        assert difference(graph, normalisation, of_pixels(normalisation), raw) < 1e-5


@given(st.floats(-1000, 1000), st.floats(0.01, 100), st.floats(-3, 3))
def test_samples_are_covered_on_a_grid_of_whole_steps(low: float, width: float, mean: float) -> None:
    normalisation = Normalisation(1.0, (low + width * (mean + 3) / 6,), (width / 4,))
    view = of_samples(normalisation, low, low + width)
    q = view.quantization
    assert q.scale == np.float32(q.scale)
    assert view.step == pytest.approx(width / 255, rel=1e-5)
    assert abs(view.mean / view.step - round(view.mean / view.step)) < 1e-6 * (1 + abs(view.mean / view.step))
    lowest, highest = (view.mean + view.std * q.scale * (code - q.zero_point) for code in (-128, 127))
    assert lowest == pytest.approx(low, abs=view.step)
    assert highest == pytest.approx(low + width, abs=view.step)


def test_samples_of_like_channels_are_folded_and_of_unlike_ones_not() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(2.0, 1.5, (8, 3, 8, 8)).astype(np.float32)
    normalisation = Normalisation(1.0, (2.0, 2.1, 1.9), (1.5, 1.4, 1.6))
    graph = capture(Net(padding=0).eval(), (3, 8, 8))
    view = of_samples(normalisation, float(raw.min()), float(raw.max()))
    assert resolves(view, normalisation, -4.0, 4.0)
    assert difference(graph, normalisation, view, raw) < 1e-5
    pressure = Normalisation(1.0, (101_300.0, 0.0, 0.0), (300.0, 1.0, 1.0))
    assert not resolves(of_samples(pressure, -3, 102_000), pressure, -4.0, 4.0)


def test_the_simulation_takes_the_fixed_codes_and_no_calibration_moves_them() -> None:
    view = of_pixels(RGB)
    simulation = Simulation(fold(capture(Net(padding=1).eval(), (3, 8, 8)), RGB, view).graph)
    x = normalised(PIXELS, view)
    simulation.calibrate([x * 0.1])
    simulation.fake_quantized = simulation.observing = True
    simulation.train()(x)
    assert simulation.quantization("input") == view.quantization
    assert simulation.quantized_graph().quantization("input") == view.quantization
    codes = simulation.trace_codes(x)["input"].numpy()
    np.testing.assert_array_equal(codes, PIXELS.astype(int) - 128)


@pytest.mark.parametrize("model", [AddsItself(), Net(padding=1)])
def test_a_folded_network_is_exact_in_the_runtimes(model: nn.Module) -> None:
    view = of_pixels(RGB)
    for name in ("litert", "onnxruntime"):
        runtime = RUNTIMES[name]
        simulation = Simulation(fold(capture(model.eval(), (3, 8, 8)), RGB, view).graph, runtime.kernels)
        simulation.calibrate([normalised(PIXELS, view)], "mse")
        rows = layers(runtime, simulation.quantized_graph(), ((PIXELS.astype(int) - 128).astype(np.int8),))
        assert len(rows) == len(simulation.graph.operators)
        assert not [row for row in rows if row.differing]
