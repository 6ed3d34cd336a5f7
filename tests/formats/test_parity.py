"""Files compute the same as their graph: bit for bit in int8, up to float32 rounding in float."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import Everything, Perceptron, lived_in, quantized
from support.parity import RUNTIMES, assert_exact, assert_same
from torch import Tensor, nn

from edgekd import catalog
from edgekd.formats import onnx, tflite
from edgekd.graph import reference
from edgekd.graph.capture import capture
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.models.autoencoder import Autoencoder
from edgekd.models.unet import UPSAMPLINGS, UNet
from edgekd.runtimes.litert import LiteRTRunner
from edgekd.runtimes.onnxruntime import OnnxRuntimeRunner
from edgekd.runtimes.parity import run_graph

INPUTS = {
    "mlp": {"input_shape": (1, 8, 8)},
    "resnet8": {"input_shape": (3, 16, 16), "width": 8},
    "resnet20": {"input_shape": (3, 16, 16), "width": 8},
    "dscnn": {"input_shape": (1, 49, 10), "width": 16},
    "mobilenetv2": {"input_shape": (3, 32, 32), "width": 0.25},
    "mobilenetv3": {"input_shape": (3, 16, 16), "width": 0.25},
    "efficientnet_lite": {"input_shape": (3, 16, 16), "width": 0.2, "depth": 0.3},
    "squeezenet": {"input_shape": (3, 16, 16), "width": 0.2},
    "conv1d": {"input_shape": (3, 40), "width": 8},
    "gru_keyword": {"input_shape": (6, 5), "hidden": 8},
}
DEEP = ("resnet32", "resnet44", "resnet56")
"""The models that are resnet20 with more blocks."""
TOKENS = ("text_encoder",)
"""The models that take tokens, which other files test."""
WITHOUT_CLASSES = {
    "autoencoder": (Autoencoder(48, 16, 4), (48,)),
    **{upsampling: (UNet(2, (1, 8, 8), 2, 2, upsampling), (1, 8, 8)) for upsampling in UPSAMPLINGS},
}


def test_no_model_of_the_catalog_is_left_out() -> None:
    assert {*INPUTS, *DEEP, *TOKENS} == set(catalog.MODELS)


@pytest.mark.parametrize("name", INPUTS)
def test_every_model_of_the_catalog_is_bit_exact_in_every_runtime(name: str, tmp_path: Path) -> None:
    model = lived_in(catalog.load("model", name)(classes=5, **INPUTS[name]), INPUTS[name]["input_shape"])  # type: ignore[arg-type]
    assert_exact(model, INPUTS[name]["input_shape"], samples=8)  # type: ignore[arg-type]


@pytest.mark.parametrize(("model", "shape"), [(Everything(), (3, 16, 16)), (Perceptron(), (3, 4, 4))])
def test_every_layer_is_bit_exact_in_every_runtime(model: nn.Module, shape: tuple[int, ...], tmp_path: Path) -> None:
    assert_exact(lived_in(model, shape), shape)


@pytest.mark.parametrize("name", WITHOUT_CLASSES)
def test_networks_that_say_no_class_are_bit_exact_in_every_runtime(name: str) -> None:
    model, shape = WITHOUT_CLASSES[name]
    assert_exact(lived_in(model, shape), shape, samples=8)


class TwoWays(nn.Module):
    """A network with two inputs and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.samples = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(6, 4)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        features = F.relu(self.image(x))
        return features, features.mean((2, 3)) + self.samples(y)


def test_several_inputs_and_outputs_are_bit_exact(tmp_path: Path) -> None:
    graph = assert_exact(lived_in(TwoWays(), (2, 5, 5), (6,)), (2, 5, 5), (6,))
    assert len(graph.inputs) == len(graph.outputs) == 2


@pytest.mark.parametrize(("model", "shape"), [(Everything(), (3, 16, 16)), (Perceptron(), (3, 4, 4))])
def test_float_files_compute_what_the_model_computes(model: nn.Module, shape: tuple[int, ...], tmp_path: Path) -> None:
    model = lived_in(model, shape)
    graph, x = capture(model, shape), torch.randn(8, *shape)
    expected = model(x).detach().numpy()
    outputs = LiteRTRunner(tflite.write(graph, tmp_path / "f.tflite")).run(
        np.ascontiguousarray(np.moveaxis(x.numpy(), 1, -1))
    )
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)
    outputs = OnnxRuntimeRunner(onnx.write(graph, tmp_path / "f.onnx")).run(x.numpy())
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


class LoneActivations(nn.Module):
    """Activations that no operator can fuse, and reshapes that depend on the axis order: (C, H, W) or (H, W, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Conv2d(2, 4, 3, padding=1)  # named like the graph's own input
        self.last = nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.input(x)
        y = F.max_pool2d(y + F.relu6(y), 2)
        y = F.relu(y.reshape(-1, 8, 2, 4)).flatten(1) if y.shape[2] == 4 else y
        return F.relu(self.last(y.reshape(-1, 4, 16)[:, 1:2].reshape(-1, 16)) + y.reshape(-1, 64)[:, 3:9])


def test_lone_activations_and_reordering_reshapes_are_bit_exact(tmp_path: Path) -> None:
    assert_exact(lived_in(LoneActivations(), (2, 8, 8)), (2, 8, 8))


class Sum(nn.Module):
    """Two branches on scales whose ratio is a multiple of 1/32, so that many sums lie halfway between two codes."""

    def __init__(self, up: float) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)
        with torch.no_grad():
            self.a.weight.copy_(torch.eye(16))
            self.b.weight.copy_(torch.eye(16).flip(0) * up)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x)


@pytest.mark.parametrize("up", [0.25, 0.28125, 0.5, 0.65625, 0.96875, 1.0, 2.0, 3.5])
def test_sums_that_lie_half_way_between_two_codes_round_as_the_kernels_do(up: float, tmp_path: Path) -> None:
    simulation, _, _ = quantized(Sum(up), (16,))
    names = [simulation.graph.input, *(op.output for op in simulation.graph.operators)]
    step = 0.01
    with torch.no_grad():
        for name, scale, zero_point in zip(names, (step, step, step * up, step), (3, 3, -20, 17), strict=True):
            i = simulation.range_index[simulation.scale_owner[name]]
            simulation.lows[i] = scale * (-128 - zero_point)
            simulation.highs[i] = scale * (127 - zero_point)
    graph = simulation.quantized_graph()
    codes = np.random.default_rng(0).integers(-128, 128, (512, 16)).astype(np.int8)
    x = torch.from_numpy(dequantize(codes, graph.quantization(graph.input)))
    for name, runtime in RUNTIMES.items():
        expected = reference.run(graph, codes, kernels=runtime.kernels)
        assert_same(run_graph(runtime, graph, (codes,)), [expected], name)
        simulation.kernels = runtime.kernels
        assert_same([simulation.trace_codes(x)[graph.output].detach().numpy()], [expected], "simulation")


class RandomConvolution(nn.Module):
    """A convolution with random parameters, an optional operator after it and a shortcut around it."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, padding: int, kind: str, after: str) -> None:
        super().__init__()
        groups = channels if kind == "depthwise" else 1
        self.conv = nn.Conv2d(channels, channels * 2 if groups > 1 else out, kernel, stride, padding, groups=groups)
        self.shortcut = nn.Conv2d(channels, self.conv.out_channels, kernel, stride, padding)
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.after == "add":
            y = F.relu(y + self.shortcut(x))
        if self.after == "relu6":
            y = F.relu6(y)
        if self.after == "pool" and y.shape[2] > 1:
            y = F.avg_pool2d(F.max_pool2d(y, 2), 1)
        return y.mean((2, 3)) if self.after == "mean" else y.flatten(1)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.integers(1, 9),
    out=st.integers(1, 9),
    kernel=st.sampled_from([1, 2, 3, 5]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    size=st.integers(5, 12),
    kind=st.sampled_from(["full", "depthwise"]),
    after=st.sampled_from(["nothing", "add", "relu6", "pool", "mean"]),
    spread=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 2**16),
)
def test_drawn_networks_are_bit_exact_in_every_runtime(
    tmp_path_factory: pytest.TempPathFactory,
    channels: int, out: int, kernel: int, stride: int, padding: int, size: int, kind: str, after: str,
    spread: float, seed: int,
) -> None:  # fmt: skip
    model = RandomConvolution(channels, out, kernel, stride, min(padding, kernel - 1), kind, after)
    model = lived_in(model, (channels, size, size), seed=seed)
    with torch.no_grad():
        model.conv.weight[0] *= spread  # one channel far from the others  # type: ignore[index, operator]
    assert_exact(model, (channels, size, size), samples=4, varies=False)
