"""Tests that layer norm and group norm are exact in every runtime, or refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.networks import lived_in, quantized
from support.parity import RUNTIMES, assert_exact, assert_same
from torch import Tensor, nn

from edgekd.catalog.formats import format_module
from edgekd.errors import UnsupportedOperatorError
from edgekd.graph import reference
from edgekd.graph.capture import capture
from edgekd.graph.operators.normalisation import LARGEST_GROUP, standardise
from edgekd.graph.operators.normalisation_training import root
from edgekd.graph.ops import Conv2d, GroupNorm, LayerNorm
from edgekd.graph.structure import Graph, Quantization
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization.islands import real_part, with_islands
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import run_graph


class Normalised(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


@pytest.mark.parametrize("width", [8, 21, 64])
def test_layer_norm_is_exact_over_any_width(width):
    graph = assert_exact(lived_in(Normalised(width), (3, width)), (3, width))
    part = real_part(graph)
    assert [type(op) for op in part.operators] == [LayerNorm]
    assert part.boundaries == 2, "its way into real values and back"


def test_the_root_in_a_trained_layer_norm_is_that_of_ieee():
    """Check the root's rounding: torch.sqrt may return the float32 number below or above, which changes a few codes."""
    values = np.linspace(1e-6, 2**14, 2**18, dtype=np.float32)
    assert np.array_equal(root(torch.from_numpy(values)).numpy(), np.sqrt(values))


def test_a_layer_norm_that_can_not_be_exact_is_refused_by_name():
    for width, kind in ((4, "onnx"), (2048, "tflite")):
        simulation = Simulation(capture(Normalised(width), (2, width)))
        with pytest.raises(UnsupportedOperatorError, match=r"norm \(layer_norm, test_normalisation\.py:\d+\)"):
            format_module(kind).serialize(simulation.quantized_graph())


class Grouped(nn.Module):
    """A convolution, its group norm and an activation, for inputs of any rank."""

    def __init__(self, *size: int, groups: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        kinds = {1: nn.Linear, 2: nn.Conv1d, 3: nn.Conv2d}
        self.layer = kinds[len(size)](size[0], 8, *([] if len(size) == 1 else [1]))
        self.norm, self.activation = nn.GroupNorm(groups, 8), activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.layer(x)))


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("size", [(5,), (3, 21), (3, 7, 9)], ids=str)
def test_group_norm_is_exact_over_vectors_frames_and_images(size: tuple[int, ...], groups: int) -> None:
    graph = assert_exact(lived_in(Grouped(*size, groups=groups), size), size)
    assert [type(op) for op in real_part(graph).operators] == [GroupNorm]


@pytest.mark.parametrize("side", [16, 37, 67], ids="{0} x {0}".format)
def test_group_norm_is_exact_over_groups_whose_squares_sum_up_beyond_float32(side: int) -> None:
    """Check groups of 1,024 values, and of 5,476 and 17,956, which are summed in 37 and 67 parts."""
    assert_exact(lived_in(Grouped(3, side, side, groups=2), (3, side, side)), (3, side, side), samples=4)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6()], ids=["relu", "relu6"])
def test_a_relu_behind_a_group_norm_goes_into_it(activation: nn.Module) -> None:
    graph = assert_exact(lived_in(Grouped(3, 8, 8, groups=2, activation=activation), (3, 8, 8)), (3, 8, 8))
    assert [type(op) for op in graph.operators] == [Conv2d, GroupNorm]
    assert graph.quantization(graph.output).zero_point == -128, "no code is spent on what the ReLU cuts off"


@pytest.mark.parametrize("affine", [True, False])
def test_a_captured_group_norm_computes_what_torch_computes(affine: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.GroupNorm(3, 6, eps=1e-3, affine=affine), nn.ReLU6()).eval()
    x = torch.randn(4, 3, 9, 9)
    torch.testing.assert_close(Simulation(capture(model, (3, 9, 9)))(x), model(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", RUNTIMES)
def test_group_norm_is_exact_over_the_largest_group_of_the_largest_codes(name: str) -> None:
    """Check codes at the ends of their range, whose sums reach the last integer that float32 holds exactly."""
    runtime, shape = RUNTIMES[name], (2, 256, 256)
    assert np.prod(shape) == LARGEST_GROUP
    kernels = "tflm" if runtime.kernels == "litert-reference" else runtime.kernels
    captured = capture(nn.GroupNorm(1, 2), shape)
    _, graph, _ = quantized(captured, shape, samples=2, kernels=kernels)
    codes = np.full((2, *shape), -128, np.int8)
    codes[0, 0, 100, 3::7] = 127
    codes[1, 1, 1:] = np.random.default_rng(0).choice(np.array([-128, 127, 126], np.int8), (255, 256))
    expected = reference.run_all(graph, codes, kernels=runtime.kernels)
    assert len(np.unique(expected[0])) > 3
    assert_same(run_graph(runtime, graph, (codes,)), expected, name)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("side", [11, 64, 67])
def test_group_norm_is_exact_where_the_last_bit_of_a_sum_decides_about_a_code(name: str, side: int) -> None:
    """Check biases that place one exact value of each channel in the middle between two codes."""
    runtime, channels = RUNTIMES[name], 24
    source, output = Quantization(0.05, 3), Quantization(2**-5, 0)
    codes = np.random.default_rng(side).integers(-128, 128, (1, channels, side, side)).astype(np.int8)
    normal = standardise(codes.reshape(1, 1, -1), np.float32(1e-5 / 0.05**2)).reshape(channels, -1)
    ties = (np.rint(normal[:, 0] / output.scale) + 0.5) * output.scale - normal[:, 0]
    op = GroupNorm("y", ("x",), "y", np.ones(channels, np.float32), ties.astype(np.float32))
    ends = {"x": GraphTensor("x", codes.shape[1:], source), "y": GraphTensor("y", codes.shape[1:], output)}
    graph = Graph(("x",), ("y",), ends, (op,))
    expected = reference.run_all(graph, codes, kernels=runtime.kernels)
    assert_same(run_graph(runtime, graph, (codes,)), expected, name)


@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_a_group_norm_that_can_not_be_exact_may_be_kept_in_float(form: str, tmp_path: Path) -> None:
    side = 363  # 2 x 363 x 363 values are more than 2^17
    captured = capture(lived_in(nn.Sequential(nn.Conv2d(1, 2, 1), nn.GroupNorm(1, 2)), (1, 8, 8)), (1, side, side))
    write = format_module(form).write
    with pytest.raises(UnsupportedOperatorError, match=r"layer 1 \(group_norm, .*263538 codes") as caught:
        write(quantized(captured, (1, side, side), samples=2)[1], tmp_path / "refused")
    assert caught.value.remedy == 'more groups, or keep the layer in float: quantize.float_layers = ["1"]'
    _, mixed, codes = quantized(with_islands(captured, ["1"]), (1, side, side), samples=2)
    runtime = next(runtime for runtime in RUNTIMES.values() if runtime.format == form)
    expected = reference.run(mixed, *codes, kernels=runtime.kernels)
    steps = np.abs(run_graph(runtime, mixed, codes)[0].astype(int) - expected.astype(int))
    assert steps.max() <= 1
    assert (steps > 0).mean() < 0.01
