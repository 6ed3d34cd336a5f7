"""Tests that convolutions of every kind and linear layers are exact in every runtime."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.networks import lived_in, quantized
from support.parity import RUNTIMES, assert_exact
from torch import Tensor, nn

from edgekd.graph import reference
from edgekd.graph.capture import capture
from edgekd.graph.operators.arithmetic import fixed_point, multiplier, round_twice
from edgekd.graph.operators.arithmetic_training import FixedPoint
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear
from edgekd.graph.structure import Graph, Quantization, activation_range
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import run_graph


class Parallel(nn.Module):
    """A network of layers that all read the input, each with an output of its own."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(layer(x) for layer in self.layers.values())


def test_convolutions_are_exact_with_groups_dilation_and_any_padding():
    model = Parallel(
        grouped=nn.Conv2d(6, 9, 3, padding=1, groups=3),
        grouped_and_strided=nn.Conv2d(6, 4, (2, 3), stride=2, padding=(0, 2), groups=2),
        dilated=nn.Conv2d(6, 5, 3, dilation=2, padding=2),
        same=nn.Conv2d(6, 5, (4, 2), padding="same", dilation=(1, 2)),
        multiplied=nn.Conv2d(6, 18, 3, padding=1, groups=6),
        multiplied_and_dilated=nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=6),
        uneven=nn.Sequential(nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(6, 5, 3, stride=2)),
    )
    assert_exact(lived_in(model, (6, 9, 11)), (6, 9, 11), samples=8)


def test_transposed_convolutions_are_exact_whatever_is_cut_and_added():
    model = Parallel(
        doubling=nn.ConvTranspose2d(6, 4, 2, stride=2),
        overlapping=nn.ConvTranspose2d(6, 5, 4, stride=2, padding=1),
        odd=nn.ConvTranspose2d(6, 5, 3, stride=2, padding=1, output_padding=1),
        gaps=nn.ConvTranspose2d(6, 5, (1, 2), stride=(3, 2), output_padding=(1, 0)),
        gaps_cut=nn.ConvTranspose2d(6, 5, 2, stride=3, padding=1),
        grouped=nn.ConvTranspose2d(6, 4, 3, stride=(1, 2), padding=(1, 0), groups=2),
        unstrided=nn.ConvTranspose2d(6, 4, 3),
    )
    graph = assert_exact(lived_in(model, (6, 5, 4)), (6, 5, 4), samples=8)
    assert [op.groups for op in graph.operators if isinstance(op, ConvTranspose2d)] == [1, 1, 1, 1, 1, 2, 1]


def test_a_transposed_convolution_takes_batch_norm_and_relu_in():
    model = nn.Sequential(nn.ConvTranspose2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 2, 1))
    graph = assert_exact(lived_in(model, (3, 4, 4)), (3, 4, 4), samples=8)
    assert [type(op) for op in graph.operators] == [ConvTranspose2d, Conv2d]


class OverFrames(nn.Module):
    """A residual network of 1D layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv1d(3, 8, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(8)
        self.depthwise = nn.Conv1d(8, 8, 3, padding="same", groups=8)
        self.up = nn.ConvTranspose1d(8, 8, 4, stride=2, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = F.max_pool1d(x, 2, ceil_mode=True)
        x = F.relu(x + self.depthwise(x))
        x = F.avg_pool1d(self.up(x), 3, stride=2, padding=1)
        return self.head(x.mean(-1))


def test_one_axis_nets_are_exact_and_hold_images_from_end_to_end():
    graph = assert_exact(lived_in(OverFrames(), (3, 31)), (3, 31), samples=8)
    kinds = [type(op).__name__ for op in graph.operators]
    assert kinds == [
        "Reshape", "Conv2d", "MaxPool2d", "Conv2d", "Add", "ConvTranspose2d", "Pad", "AveragePool2d",
        "GlobalAveragePool", "Linear",
    ]  # fmt: skip


def test_one_axis_layers_compute_what_torch_computes():
    model = lived_in(OverFrames(), (3, 31))
    x = torch.randn(4, 3, 31)
    actual = Simulation(capture(model, (3, 31)))(x)
    torch.testing.assert_close(actual, model(x), rtol=1e-4, atol=1e-5)


class OfSequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows, self.last = nn.Linear(6, 10), nn.Linear(10, 4)
        self.groups = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = F.relu(self.rows(x))
        return self.last(y).flatten(1), self.groups(y.reshape(-1, 7, 2, 5)).flatten(1)


def test_linear_layers_work_on_the_last_of_several_axes():
    graph = assert_exact(lived_in(OfSequences(), (7, 6)), (7, 6), samples=16)
    assert sum(isinstance(op, Linear) for op in graph.operators) == 3


def near_ties(kind: type, seed: int) -> tuple[Graph, np.ndarray]:
    """Check a layer of zero weights whose biases lie next to the middle between two codes."""
    chance = np.random.default_rng(seed)
    outputs = 256
    source = Quantization(float(np.float32(2.0 ** chance.uniform(-9, 3))), int(chance.integers(-128, 128)))
    output = Quantization(float(np.float32(2.0 ** chance.uniform(-9, 3))), int(chance.integers(-40, 40)))
    ratio = 2.0 ** (chance.integers(-20, 0) if seed % 3 == 0 else chance.uniform(-22, -1))
    scale = np.float32(
        ratio * output.scale / source.scale * np.exp2(chance.uniform(-0.3, 0.3, outputs) * (seed % 3 > 0))
    )
    real = source.scale * scale.astype(np.float64) / output.scale
    bias = np.rint((chance.integers(-128, 128, outputs) + 0.5) / real) + chance.integers(-1, 2, outputs)
    fields = {"bias": bias.astype(np.int32), "weight_scale": scale}
    if kind is Linear:
        shapes, weight = ((4,), (outputs,)), np.zeros((outputs, 4), np.int8)
    else:
        shapes, weight = ((4, 1, 1), (outputs, 1, 1)), np.zeros((outputs, 4, 1, 1), np.int8)
    tensors = {n: GraphTensor(n, s, q) for n, s, q in zip("xy", shapes, (source, output), strict=True)}
    graph = Graph(("x",), ("y",), tensors, (kind("layer", ("x",), "y", weight=weight, **fields),))
    return graph, chance.integers(-128, 128, (2, *shapes[0])).astype(np.int8)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d, Linear])
def test_accumulators_half_way_between_two_codes_round_as_the_kernels_do(kind, name):
    for seed in range(6):
        graph, codes = near_ties(kind, seed)
        expected = reference.run(graph, codes, kernels=RUNTIMES[name].kernels)
        (actual,) = run_graph(RUNTIMES[name], graph, (codes,))
        assert np.array_equal(actual, expected), seed


def test_the_modes_differ_where_accumulators_lie_half_way():
    graph, codes = near_ties(Linear, 3)
    modes = ("xnnpack", "tflm", "litert-reference")
    actual = [reference.run(graph, codes, kernels=mode).tobytes() for mode in modes]
    assert len(set(actual)) == len(modes)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("whole", [3, 4, 50, 101])
def test_relu6_ends_where_the_kernels_say_when_six_lies_between_two_codes(name, whole):
    output = Quantization(float(np.float32(6 / (whole + 0.5))), -128 + whole % 2)
    assert np.float32(6) / np.float32(output.scale) == whole + 0.5
    tensors = {"x": GraphTensor("x", (1,), Quantization(1.0, 0)), "y": GraphTensor("y", (1,), output)}
    fields = {"bias": np.array([2**20], np.int32), "weight_scale": np.float32([0.01]), "activation": "relu6"}
    layer = Linear("layer", ("x",), "y", weight=np.zeros((1, 1), np.int8), **fields)
    graph, codes = Graph(("x",), ("y",), tensors, (layer,)), np.zeros((1, 1), np.int8)
    (actual,) = run_graph(RUNTIMES[name], graph, (codes,))
    assert np.array_equal(actual, reference.run(graph, codes, kernels=RUNTIMES[name].kernels))


def test_gemmlowp_rounds_twice_by_hand():
    """Check products with 2^-2, which has the mantissa 2^30 and the exponent -1.

    For 1023 the first rounding takes 511.5 up to 512, and 512 / 2 = 256. For -1023 it takes -511.5 up to -511, and the
    second takes -255.5 away from zero to -256. For 2 it gives 1, and the second takes 0.5 up to 1.
    """
    mantissa, exponent = fixed_point(np.asarray(0.25))
    assert (int(mantissa), int(exponent)) == (2**30, -1)
    assert round_twice(np.array([1023, -1023, 2, -2, 1, -1]), mantissa, exponent).tolist() == [256, -256, 1, -1, 1, 0]


def test_the_top_code_of_relu6_by_hand():
    half = Quantization(4.0, -127)  # 6 / 4 = 1.5 steps
    assert activation_range("relu6", half, "tflm")[1] == -125  # away from zero: 2
    assert activation_range("relu6", half, "onnxruntime")[1] == -125  # to even: 2
    assert activation_range("relu6", half, "xnnpack")[1] == -126  # -125.5 to even


class Dead(nn.Module):
    """A network with a layer whose output is always zero, so that its range gives no scale."""

    def __init__(self) -> None:
        super().__init__()
        self.dead, self.alive, self.last = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.dead(x)) + self.alive(x))


def test_a_layer_that_is_always_silent_is_exact_and_its_file_loads():
    model = lived_in(Dead(), (6,))
    with torch.no_grad():
        model.dead.bias.fill_(-1e3)
    assert_exact(model, (6,), samples=8)
    graph = quantized(model, (6,))[1]
    layer = graph.operators[0]
    assert multiplier(layer, graph.quantization("input"), graph.quantization(layer.output)).max() <= 33


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_simulation_rounds_twice_in_any_order_of_memory(layout):
    chance = np.random.default_rng(0)
    ratio = np.exp2(chance.uniform(-14, 4, 16))
    acc = np.rint((chance.integers(-150, 150, (4, 16, 5, 6)) + 0.5) / ratio.reshape(-1, 1, 1))
    acc = np.clip(acc + chance.integers(-1, 2, acc.shape), -(2**24), 2**24)
    mantissa, exponent = fixed_point(ratio)
    expected = round_twice(acc, mantissa.reshape(-1, 1, 1), exponent.reshape(-1, 1, 1))
    values = torch.from_numpy(acc.astype(np.float32)).to(memory_format=layout)
    twice = FixedPoint.of(mantissa, exponent, (1, -1, 1, 1), values.device)
    product = values * torch.from_numpy(ratio.astype(np.float32)).reshape(1, -1, 1, 1)
    actual = twice.round(values, product)
    assert actual.is_contiguous(memory_format=layout)
    assert np.array_equal(actual.numpy(), expected)
    assert not np.array_equal(np.rint(acc * ratio.reshape(-1, 1, 1)), expected)
