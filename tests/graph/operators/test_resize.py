"""Tests that resized images and sequences have torch's values, and are exact in every runtime."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.networks import lived_in
from support.parity import RUNTIMES, assert_exact
from support.single_operator import differing, differing_simulation
from torch import Tensor, nn

from edgekd.catalog.runtimes import Runtime
from edgekd.errors import UnsupportedOperatorError
from edgekd.graph.capture import capture
from edgekd.graph.operators.resize import onnx_scale
from edgekd.graph.ops import Resize, Take
from edgekd.graph.structure import Array, Graph, Kernels, Quantization
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import run_graph


class Resized(nn.Module):
    """Every kind of resize of a convolution's output, one of which another convolution reads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.after = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.conv(x)
        return (
            F.interpolate(x, scale_factor=2, mode="bilinear"),
            F.interpolate(x, size=(11, 7), mode="bilinear", align_corners=True),
            F.interpolate(x, size=(3, 5), mode="bilinear"),
            F.interpolate(x.flatten(2), scale_factor=1.5, mode="linear"),
            F.interpolate(x, scale_factor=(2, 3)),
            F.interpolate(x, size=(11, 7)),
            F.interpolate(x, size=(5, 13), mode="nearest-exact"),
            F.interpolate(x.flatten(2), scale_factor=2),
            self.after(nn.UpsamplingBilinear2d(scale_factor=2)(x)),
        )


def test_every_kind_of_resizing_is_exact_in_every_runtime() -> None:
    assert_exact(lived_in(Resized(), (3, 6, 4)), (3, 6, 4), samples=4)


def test_every_kind_of_resizing_computes_what_torch_computes() -> None:
    model, x = lived_in(Resized(), (3, 6, 4)), torch.randn(3, 3, 6, 4)
    for actual, expected in zip(Simulation(capture(model, (3, 6, 4)))(x), model(x), strict=True):
        torch.testing.assert_close(actual, expected)


def resizings() -> tuple[Graph, list[Array]]:
    """Check resizes up and down between many sizes, with codes at the ends of their range."""
    chance = np.random.default_rng(5)
    tensors: dict[str, GraphTensor] = {}
    operators, codes = [], []
    for i in range(40):
        before, after = (tuple(int(n) for n in chance.integers(1, 14, 2)) for _ in range(2))
        channels, scale = int(chance.integers(1, 20)), np.float32(10 ** chance.uniform(-3, 1))
        q = Quantization(float(scale), i * 6 - 128)
        tensors |= {f"x{i}": GraphTensor(f"x{i}", (channels, *before), q)}
        tensors |= {f"y{i}": GraphTensor(f"y{i}", (channels, *after), q)}
        operators.append(Resize(f"y{i}", (f"x{i}",), f"y{i}", align_corners=bool(i % 2)))
        codes.append(chance.choice([-128, 127, *chance.integers(-128, 128, 6)], (2, channels, *before)).astype(np.int8))
    inputs, outputs = tuple(op.inputs[0] for op in operators), tuple(op.output for op in operators)
    return Graph(inputs, outputs, tensors, tuple(operators)), codes


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_values_are_resized_in_float_files_too(runtime: str) -> None:
    model, x = lived_in(Resized(), (3, 6, 4)), torch.randn(2, 3, 6, 4)
    actual = run_graph(RUNTIMES[runtime], capture(model, (3, 6, 4)), (x.numpy(),))
    for one, other in zip(actual, model(x), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_bilinear_resizing_is_exact_between_any_sizes(runtime: Runtime) -> None:
    assert not differing(runtime, *resizings())


@pytest.mark.parametrize("kernels", ["xnnpack", "tflm", "onnxruntime"])
def test_training_resizes_as_the_kernels_do(kernels: Kernels) -> None:
    assert not differing_simulation(kernels, *resizings())


def test_the_nearest_neighbour_is_a_choice_of_positions() -> None:
    graph = capture(nn.Upsample(scale_factor=2), (1, 2, 3))
    (op,) = graph.operators
    assert isinstance(op, Take)
    assert op.positions == (None, (0, 0, 1, 1), (0, 0, 1, 1, 2, 2))


def test_every_size_is_reached_by_a_float32_scale_that_is_cut_off() -> None:
    for before in range(1, 40):
        for after in range(1, 40):
            scale = onnx_scale(before, after)
            assert int(float(scale) * before) == int(scale * np.float32(before)) == after


class Turned(nn.Module):
    """A resize between transposes, which onnxruntime may move through it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(self.conv(x), size=(7, 4), mode="bilinear").transpose(1, 2)
        return (x + x) * F.interpolate(x.transpose(1, 2), size=(7, 4), mode="bilinear").transpose(1, 2)


class Widened(nn.Module):
    """A resize between convolutions, which onnxruntime runs channels last, so it could confuse rows and channels."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(2, 29, 1), nn.Conv2d(29, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.interpolate(self.before(x), size=(2, 5), mode="bilinear", align_corners=True))


def test_columns_resized_alone_between_convolutions_are_exact() -> None:
    assert_exact(
        lived_in(Widened(), (2, 2, 2)), (2, 2, 2), samples=64, runtimes={"onnxruntime": RUNTIMES["onnxruntime"]}
    )


def test_transposes_around_a_resizing_are_exact() -> None:
    assert_exact(lived_in(Turned(), (2, 5, 8)), (2, 5, 8), samples=2)


def test_a_gradient_passes_a_bilinear_resizing() -> None:
    simulation = Simulation(capture(nn.Upsample(scale_factor=2, mode="bilinear"), (2, 3, 3)))
    x = torch.randn(4, 2, 3, 3, requires_grad=True)
    simulation.calibrate([x.detach()])
    simulation.fake_quantized = True
    simulation(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.sum(), torch.tensor(4.0 * 2 * 6 * 6))  # each output's weights add up to one


def test_a_factor_that_leads_to_no_whole_pixels_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="give it a size"):
        capture(nn.Upsample(scale_factor=1.3, mode="bilinear"), (2, 5, 5))
