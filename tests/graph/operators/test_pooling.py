"""Tests that means and maxima over windows, images and any axes are exact in every runtime."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.networks import lived_in
from support.parity import RUNTIMES, assert_exact
from torch import Tensor, nn

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats import tflite
from edgekd.graph import reference
from edgekd.graph.capture import capture
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, Mean
from edgekd.graph.structure import Graph, Operator, Quantization
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import run_graph


class Pooled(nn.Module):
    """A convolution followed by each of `pools`."""

    def __init__(self, *pools: nn.Module) -> None:
        super().__init__()
        self.conv, self.pools = nn.Conv2d(2, 4, 3, padding=1), nn.ModuleList(pools)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.conv(x)
        return tuple(pool(x) for pool in self.pools)


AVERAGES = Pooled(
    nn.AvgPool2d(3, 1, 1),  # counts its zeros
    nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AvgPool2d((2, 3), (2, 1), ceil_mode=True),
    nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    nn.AvgPool2d((5, 3), 3, (0, 1), count_include_pad=False),
    nn.AdaptiveAvgPool2d((3, 2)),
    nn.AdaptiveAvgPool2d((1, None)),
)
MAXIMA = Pooled(
    nn.MaxPool2d(3, 2, 1),
    nn.MaxPool2d(2, ceil_mode=True),
    nn.MaxPool2d((3, 2), (1, 2), (1, 0)),
    nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    nn.MaxPool2d(3, 1, 1),
)


@pytest.mark.parametrize("model", [AVERAGES, MAXIMA], ids=["averages", "maxima"])
def test_pools_are_exact_with_any_padding(model):
    assert_exact(lived_in(model, (2, 9, 8)), (2, 9, 8), samples=8)


@pytest.mark.parametrize("model", [AVERAGES, MAXIMA], ids=["averages", "maxima"])
def test_pools_compute_what_torch_computes(model):
    x = torch.randn(3, 2, 9, 8)
    for actual, expected in zip(Simulation(capture(model, (2, 9, 8)))(x), model(x), strict=True):
        torch.testing.assert_close(actual, expected)


class OverFrames(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (
            F.max_pool1d(x, 3, 2, 1),
            F.avg_pool1d(x, 4, 2, 1, count_include_pad=True),
            F.adaptive_avg_pool1d(x, 5),
            F.adaptive_avg_pool1d(x, 1),
        )


def test_pools_over_one_axis_are_exact():
    model, x = OverFrames(), torch.randn(3, 4, 20)
    for actual, expected in zip(Simulation(capture(model, (4, 20)))(x), model(x), strict=True):
        torch.testing.assert_close(actual, expected)
    assert_exact(model, (4, 20), samples=8)


class Means(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        return x.mean((2, 3)), x.mean(1), x.mean((1, 3), keepdim=True), x.mean(3), y.mean(1), y.mean(-1, keepdim=True)


def test_means_over_any_axes_are_exact():
    graph = assert_exact(Means(), (6, 5, 7), (9, 4), samples=16)
    assert sum(isinstance(op, Mean) for op in graph.operators) == 5
    assert sum(isinstance(op, GlobalAveragePool) for op in graph.operators) == 1


def of_one(op: Operator, shape: tuple[int, ...], out: tuple[int, ...], scales: tuple[float, float], zeros) -> Graph:
    a, b = (Quantization(float(np.float32(s)), int(z)) for s, z in zip(scales, zeros, strict=True))
    return Graph(("x",), ("y",), {"x": GraphTensor("x", shape, a), "y": GraphTensor("y", out, b)}, (op,))


@pytest.mark.parametrize("name", RUNTIMES)
def test_means_half_way_between_two_codes_round_as_the_kernels_do(name):
    chance = np.random.default_rng(0)
    for _ in range(12):
        height, width = (int(n) for n in chance.integers(1, 9, 2))
        step = 2.0 ** chance.uniform(-8, 2)
        scales, zeros = (step, step * chance.integers(1, 20) / chance.integers(1, 20)), chance.integers(-128, 128, 2)
        graph = of_one(GlobalAveragePool("mean", ("x",), "y"), (64, height, width), (64,), scales, zeros)
        codes = chance.integers(-128, 128, (2, 64, height, width)).astype(np.int8)
        expected = reference.run(graph, codes, kernels=RUNTIMES[name].kernels)
        (actual,) = run_graph(RUNTIMES[name], graph, (codes,))
        assert np.array_equal(actual, expected), (height, width, scales, zeros)


@pytest.mark.parametrize("name", RUNTIMES)
def test_one_window_over_everything_is_exact_too(name):
    graph = of_one(AveragePool2d("pool", ("x",), "y", (4, 5), (1, 1)), (64, 4, 5), (64, 1, 1), (0.35, 0.35), (81, 81))
    codes = np.random.default_rng(0).integers(-128, 128, (16, 64, 4, 5)).astype(np.int8)
    (actual,) = run_graph(RUNTIMES[name], graph, (codes,))
    assert np.array_equal(actual, reference.run(graph, codes, kernels=RUNTIMES[name].kernels))


def test_an_average_over_what_padding_leaves_by_hand():
    # Windows of 3 around 1, 4, 10: (1 + 4) / 2 = 2.5 -> 3, (1 + 4 + 10) / 3 = 5, (4 + 10) / 2 = 7.
    pool = AveragePool2d("pool", ("x",), "y", (1, 3), (1, 1), (0, 0, 1, 1))
    graph = of_one(pool, (1, 1, 3), (1, 1, 3), (1.0, 1.0), (0, 0))
    assert reference.run(graph, np.array([[[[1, 4, 10]]]], np.int8)).ravel().tolist() == [3, 5, 7]


def test_padding_that_tflite_cannot_leave_out_of_the_count_is_refused_by_name(tmp_path):
    model = nn.AvgPool2d(2, 2, 1, count_include_pad=False)
    with pytest.raises(UnsupportedOperatorError, match=r"average pool.*out of the count"):
        tflite.write(capture(model, (2, 6, 6)), tmp_path / "pool.tflite")
