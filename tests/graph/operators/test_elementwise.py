"""Tests sums, differences, products and scalings over all pairs of codes, and as ordinary torch code writes them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.networks import lived_in, quantized
from support.parity import RUNTIMES, assert_exact
from support.single_operator import PAIRS, combined_graph, differing, differing_simulation, quantization
from torch import Tensor, nn

from edgekd.formats import onnx, tflite
from edgekd.graph import reference
from edgekd.graph.capture import attempt, capture
from edgekd.graph.ops import Add, Constant, Conv2d, Linear, Mul, Sub
from edgekd.graph.structure import Graph, Operator, Quantization
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.litert import LiteRTRunner
from edgekd.runtimes.onnxruntime import OnnxRuntimeRunner

KINDS = (Add, Sub, Mul)


def drawn(kind: type[Operator], seed: int, count: int = 6) -> Graph:
    """Return a graph of operators on scales as networks have them, some with ties or fused activations."""
    chance = np.random.default_rng(seed)
    operators_with_scales = []
    for _ in range(count):
        a = quantization(chance, -3, 0)
        if kind is Mul:
            b = quantization(chance, -3, 0)
            output = quantization(chance, 0, 2, a.scale * b.scale)
        else:
            b = quantization(chance, -1, 1, a.scale)
            output = quantization(chance, -0.5, 1, max(a.scale, b.scale))
        activation = str(chance.choice(["none", "none", "relu", "relu6"]))
        operators_with_scales.append((kind("", (), "", activation=activation), (a, b), output))  # type: ignore[call-arg]
    return combined_graph(operators_with_scales, PAIRS.shape[-1])


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_all_pairs_of_codes_are_exact(kind: type[Operator], runtime: str) -> None:
    graph = drawn(kind, seed=3)
    assert not differing(RUNTIMES[runtime], graph, [*PAIRS] * 6)


@pytest.mark.parametrize("kernels", ["xnnpack", "tflm", "onnxruntime"])
def test_training_computes_the_same_codes(kernels: str) -> None:
    for kind in KINDS:
        assert not differing_simulation(kernels, drawn(kind, seed=4, count=3), [*PAIRS] * 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_scales_out_of_xnnpacks_reach_are_litert_kernels(kind: type[Operator]) -> None:
    # One operand, or the product, is so fine beside the output that XNNPACK leaves the operator to LiteRT.
    fine, coarse = Quantization(float(np.float32(2e-5)), -128), Quantization(0.0703125, -128)
    output = Quantization(0.125 if kind is Mul else 0.078125, 10)
    graph = combined_graph([(kind("", (), ""), (coarse, fine), output)], PAIRS.shape[-1])
    assert not differing(RUNTIMES["litert"], graph, [*PAIRS])
    assert not differing_simulation("xnnpack", graph, [*PAIRS])


@pytest.mark.parametrize(("kernels", "expected"), [("xnnpack", [1, 0]), ("tflm", [1, -1]), ("onnxruntime", [0, 0])])
def test_a_sum_rounds_a_half_as_the_named_kernels_do(kernels: str, expected: list[int]) -> None:
    # 1 * 0.5 + 0 and -1 * 0.5 + 0: up, away from zero, to even.
    half, one = Quantization(0.5, 0), Quantization(1.0, 0)
    graph = combined_graph([(Add("", (), ""), (half, half), one)], 2)
    codes = np.array([[1, -1]], np.int8), np.array([[0, 0]], np.int8)
    assert reference.run(graph, *codes, kernels=kernels).tolist() == [expected]  # type: ignore[arg-type]


@pytest.mark.parametrize(("kernels", "expected"), [("xnnpack", 3), ("tflm", 4), ("onnxruntime", 4)])
def test_a_product_rounds_a_half_as_the_named_kernels_do(kernels: str, expected: int) -> None:
    # 1 * 1 * 0.5: to even, and away from zero. onnxruntime adds its zero point of 131 first; 131.5 goes to 132.
    unit, two = Quantization(1.0, 0), Quantization(2.0, 3)
    graph = combined_graph([(Mul("", (), ""), (unit, unit), two)], 1)
    codes = np.array([[1]], np.int8)
    assert reference.run(graph, codes, codes, kernels=kernels).item() == expected  # type: ignore[arg-type]


class Written(nn.Module):
    """A module that calls a forward function between two layers."""

    def __init__(self, forward, channels: int = 6) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.a, self.b, self.written = nn.Conv2d(3, channels, 1), nn.Conv2d(3, channels, 3, padding=1), forward
        self.vector = nn.Parameter(torch.randn(channels, 1, 1))
        self.row, self.image = nn.Parameter(torch.randn(5)), nn.Parameter(torch.randn(1, channels, 7, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.written(self, self.a(x), self.b(x))


def squeezed(net: Written, a: Tensor, b: Tensor) -> Tensor:
    """Compute with broadcasts of either operand."""
    mean = a.mean((2, 3), keepdim=True)
    return (b * torch.sigmoid(mean) + mean) * (mean - a) + (b - mean).square()


def by_numbers(net: Written, a: Tensor, b: Tensor) -> Tensor:
    """Compute with numbers, some of which fold into a convolution."""
    return (2 * a + 1) / 3 + F.relu6(1 - b) + (b - 0.5).clamp(-1, 2) + torch.sub(a, b, alpha=0.5)


def by_parameters(net: Written, a: Tensor, b: Tensor) -> Tensor:
    """Compute with parameters along the channels, along another axis, and along all axes."""
    return (a + net.image) * net.vector + b * net.row + (net.vector - b * b) + torch.rsub(a, net.row)


FORWARDS = (squeezed, by_numbers, by_parameters)


@pytest.mark.parametrize("forward", FORWARDS)
def test_ordinary_arithmetic_is_exact(forward) -> None:  # type: ignore[no-untyped-def]
    assert_exact(lived_in(Written(forward), (3, 7, 5)), (3, 7, 5), samples=8)


@pytest.mark.parametrize("forward", FORWARDS)
def test_ordinary_arithmetic_in_float(forward, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model, x = lived_in(Written(forward), (3, 7, 5)), torch.randn(4, 3, 7, 5)
    graph, expected = capture(model, (3, 7, 5)), model(x).detach().numpy()
    np.testing.assert_allclose(Simulation(graph)(x).detach().numpy(), expected, rtol=1e-3, atol=1e-4)
    actual = LiteRTRunner(tflite.write(graph, tmp_path / "f.tflite")).run(np.moveaxis(x.numpy(), 1, -1).copy())
    np.testing.assert_allclose(np.moveaxis(actual, -1, 1), expected, rtol=1e-3, atol=1e-4)
    actual = OnnxRuntimeRunner(onnx.write(graph, tmp_path / "f.onnx")).run(x.numpy())
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


class Vectors(nn.Module):
    """Batch norms on vectors that no layer computes, and on a tensor that another layer reads too."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.BatchNorm1d(12), nn.BatchNorm1d(8)
        self.first, self.last = nn.Linear(12, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.before(x))
        return self.last(F.relu(self.between(x)) + x)


def test_a_batch_norm_of_its_own_is_a_product_and_a_sum() -> None:
    graph = assert_exact(lived_in(Vectors(), (12,)), (12,))
    kinds = [type(op) for op in graph.operators if op.inputs]
    assert kinds == [Mul, Add, Linear, Mul, Add, Add, Linear]


def test_on_images_it_is_a_depthwise_convolution() -> None:
    graph = capture(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), (3, 4, 4))
    (op,) = graph.operators
    assert isinstance(op, Conv2d) and op.groups == 3 and op.activation == "relu"


def test_numbers_fold_into_the_layer_that_nobody_else_reads() -> None:
    graph = capture(Written(lambda net, a, b: F.relu((a * net.vector - 2) * 0.5) + b), (3, 7, 5))
    assert [type(op) for op in graph.operators] == [Conv2d, Conv2d, Add]
    assert graph.operators[0].activation == "relu"
    shared = capture(Written(lambda net, a, b: a * 2 + b * a), (3, 7, 5))
    assert [type(op) for op in shared.operators] == [Conv2d, Conv2d, Constant, Mul, Mul, Add]


def test_what_is_repeated_stands_second_but_in_a_difference() -> None:
    graph = capture(Written(lambda net, a, b: a.mean((2, 3), keepdim=True) * b), (3, 7, 5))
    product = next(op for op in graph.operators if isinstance(op, Mul))
    assert [graph.tensors[name].shape for name in product.inputs] == [(6, 7, 5), (6, 1, 1)]
    graph = capture(Written(lambda net, a, b: a.mean((2, 3), keepdim=True) - b), (3, 7, 5))
    difference = next(op for op in graph.operators if isinstance(op, Sub))
    assert [graph.tensors[name].shape for name in difference.inputs] == [(6, 1, 1), (6, 7, 5)]


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda net, a, b: a / b, "it divides by computed values"),
        (lambda net, a, b: a**3, "it raises to the power of 3"),
        (lambda net, a, b: a.mean(2, keepdim=True) + b.mean(3, keepdim=True), "its operands have the shapes"),
        (lambda net, a, b: a.clamp(max=2.0) + b, "it clamps to"),
    ],
)
def test_what_has_no_form_is_refused_with_the_line(forward, reason: str) -> None:  # type: ignore[no-untyped-def]
    _, refused = attempt(Written(forward), (3, 7, 5))
    assert reason in refused[0].reason and refused[0].source.startswith("test_elementwise.py:")


def test_gradients_are_those_of_the_float_network_but_for_rounding() -> None:
    simulation, _, _ = quantized(lived_in(Written(squeezed), (3, 7, 5)), (3, 7, 5))
    x, gradients = torch.randn(16, 3, 7, 5) * 0.5, []
    for fake in (True, False):
        simulation.fake_quantized = fake
        simulation.zero_grad()
        simulation(x).pow(2).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in simulation.parameters() if p.grad is not None]))
    assert F.cosine_similarity(*gradients, dim=0) > 0.98
