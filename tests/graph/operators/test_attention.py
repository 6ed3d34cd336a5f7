"""Tests that products of activations, softmax, attention and embeddings are exact in every runtime."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.networks import lived_in, quantized
from support.parity import assert_exact
from torch import Tensor, nn

from edgekd import catalog
from edgekd.errors import UnsupportedOperatorError
from edgekd.graph import cost
from edgekd.graph.capture import capture
from edgekd.graph.operators import softmax
from edgekd.graph.ops import Embedding, Linear, MatMul, Mul, Softmax, Transpose
from edgekd.quantization.islands import real_part
from edgekd.quantization.simulate import Simulation


class Products(nn.Module):
    """Products with each combination of transposed operands."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        square = x.transpose(1, 2) @ y
        return x @ square, y @ y.mT, square.mT @ y.permute(0, 2, 1), torch.bmm(square, square)


def test_products_of_activations_are_exact_however_their_operands_are_turned():
    graph = assert_exact(Products(), (5, 12), (5, 12), samples=16)
    turned = [(op.transpose_a, op.transpose_b) for op in graph.operators if isinstance(op, MatMul)]
    assert sorted(turned) == [(False, False), (False, False), (False, True), (True, False), (True, True)]
    assert len(graph.operators) == 5


class ByActivations(nn.Module):
    """Products whose second operand has the zero point 0, which XNNPACK has kernels for, or another one."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x @ y.mT, x @ torch.sigmoid(y).mT


def test_products_with_any_zero_point_are_exact():
    graph = assert_exact(ByActivations(), (9, 7), (16, 7))
    zero_points = [graph.quantization(op.inputs[1]).zero_point for op in graph.operators if isinstance(op, MatMul)]
    assert zero_points == [0, -128]


class Shares(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.softmax(x, -1), F.softmax(x.reshape(len(x), 5, 14), 2)


def test_softmax_is_exact():
    assert_exact(Shares(), (2, 35), samples=64)


def test_softmax_rounds_the_shares_of_a_whole():
    codes = np.array([[-128, -128, 127, -128], [5, 5, 5, 5]], np.int8)
    scale = np.float32(0.1)
    for actual in (
        softmax.by_table(codes, scale),
        softmax.by_scaled_table(codes, scale),
        softmax.in_fixed_point(codes, float(scale)),
    ):
        np.testing.assert_array_equal(actual, [[-128, -128, 127, -128], [-64, -64, -64, -64]])


def test_the_exponential_is_the_c_librarys():
    x = -np.exp(np.random.default_rng(0).uniform(-10, 4, 10000)).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    actual = softmax.expf(x)
    assert (np.abs(actual - exact) <= 0.502 * np.spacing(exact.astype(np.float32))).all()
    assert (actual != exact.astype(np.float32)).any(), "it is not the correctly rounded one"


class Attending(nn.Module):
    """torch's own attention, and an attention of single operators."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.mixed = nn.Linear(16, 48)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x, x, x)[0]
        q, k, v = (part.unflatten(2, (2, 8)).transpose(1, 2) for part in self.mixed(x).chunk(3, -1))
        return ((q / 8**0.5) @ k.transpose(-2, -1)).softmax(-1) @ v


def test_attention_is_exact_and_keeps_samples_apart():
    model = lived_in(Attending(), (6, 16))
    graph = assert_exact(model, (6, 16), samples=8)
    kinds = [type(op) for op in graph.operators]
    assert kinds.count(MatMul) == 4
    assert kinds.count(Softmax) == 2
    assert [op.beta for op in graph.operators if isinstance(op, Softmax)] == [0.5, pytest.approx(8**-0.5)]
    assert not any(isinstance(op, Mul) for op in graph.operators), "a factor in front of a softmax costs nothing"
    x = torch.randn(3, 6, 16)
    torch.testing.assert_close(Simulation(capture(model, (6, 16)))(x), model(x), atol=1e-5, rtol=1e-4)


def test_what_attention_multiplies_by_has_zero_point_0():
    graph = quantized(lived_in(Attending(), (6, 16)), (6, 16))[1]
    products = [op for op in graph.operators if isinstance(op, MatMul)]
    assert [graph.quantization(op.inputs[1]).zero_point for op in products] == [0, 0, 0, 0]


@pytest.mark.parametrize("norm_first", [False, True])
def test_torchs_own_transformer_layer_is_exact(norm_first):
    layer = nn.TransformerEncoderLayer(16, 2, 24, activation="gelu", batch_first=True, norm_first=norm_first)
    assert_exact(lived_in(nn.Sequential(layer), (5, 16)), (5, 16), samples=8)


class Masked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x, is_causal=True)


def test_masks_are_refused():
    with pytest.raises(
        UnsupportedOperatorError, match=r"scaled_dot_product_attention, test_attention\.py:\d+\): attention"
    ):
        capture(Masked(), (5, 8))


def encoder() -> nn.Module:
    factory = catalog.load("model", "text_encoder")
    return lived_in_tokens(factory(classes=3, input_shape=[7], vocabulary=50, width=16, heads=2, layers=1, hidden=24))


def lived_in_tokens(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3 if parameter.dim() < 2 else (2 / parameter[0].numel()) ** 0.5)
    return model.eval()


TOKENS = torch.tensor([49, 0, 3, 1, 2, 4, 5], dtype=torch.int32)


def test_a_text_encoder_is_exact_from_tokens_to_classes():
    model = encoder()
    graph = assert_exact(model, TOKENS, samples=16)
    assert graph.tensors["input"].kind == "index"
    assert graph.tensors["input"].quantization is None
    table = next(op for op in graph.operators if isinstance(op, Embedding))
    assert table.weight.dtype == np.int8
    assert len(real_part(graph).operators) == 3
    captured = capture(model, TOKENS)
    x = torch.randint(0, 50, (5, 7), dtype=torch.int32)
    torch.testing.assert_close(Simulation(captured)(x), model(x), atol=1e-5, rtol=1e-4)
    assert cost.parameters(captured) == sum(p.numel() for p in model.parameters())
    assert not any(isinstance(op, Transpose) for op in graph.operators if op.inputs == ("input",))


def test_its_simulation_trains_what_ships():
    simulation = Simulation(capture(encoder(), TOKENS))
    tokens = torch.randint(0, 50, (16, 7), dtype=torch.int32)
    simulation.calibrate([tokens])
    simulation.fake_quantized = True
    F.cross_entropy(simulation(tokens), torch.arange(16) % 3).backward()
    for op in simulation.graph.operators:
        for name, parameter in zip(op.parameters, simulation.parameters_of(op), strict=True):
            assert parameter.grad is not None, f"{op.name}.{name}"
            assert parameter.grad.isfinite().all()


class Weighed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def test_a_product_with_a_stored_matrix_is_a_linear_layer():
    graph = assert_exact(lived_in(Weighed(), (3, 6)), (3, 6))
    assert [type(op) for op in graph.operators] == [Linear]


@pytest.mark.parametrize("kernels", ["xnnpack", "tflm", "onnxruntime"])
@pytest.mark.parametrize("layer", [nn.Softmax(-1), nn.LayerNorm(9), nn.GroupNorm(1, 5), nn.GroupNorm(5, 5)])
def test_gradients_of_codes_are_those_of_the_real_values(layer, kernels):
    """Compare the gradients with and without fake quantization, which differ only by rounding to fine steps."""
    torch.manual_seed(0)
    simulation = Simulation(capture(layer, (5, 9)), kernels).eval()
    x = torch.randn(64, 5, 9)
    simulation.calibrate([x])
    simulation.lows *= 1.01  # nothing saturates
    simulation.highs *= 1.01
    towards = torch.randn(64, 5, 9)
    gradients = []
    for simulation.fake_quantized in (False, True):
        leaf = x.clone().requires_grad_()
        simulation.zero_grad()
        (simulation(leaf) * towards).sum().backward()
        gradients.append([leaf.grad, *(p.grad for p in simulation.parameters())])
    for real, coded in zip(*gradients, strict=True):
        assert torch.nn.functional.cosine_similarity(real.flatten(), coded.flatten(), dim=0) > 0.995
        torch.testing.assert_close(coded.norm(), real.norm(), rtol=0.03, atol=0)


class Scaled(nn.Module):
    """A product followed by a factor, once with a second reader of the product."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = x @ x.mT / 3
        return scores.softmax(-1), scores


def test_only_factors_that_nobody_else_reads_go_into_a_softmax():
    model = Scaled()
    graph = capture(model, (4, 6))
    assert [op.beta for op in graph.operators if isinstance(op, Softmax)] == [1.0]
    x = torch.randn(2, 4, 6)
    for one, other in zip(Simulation(graph)(x), model(x), strict=True):
        torch.testing.assert_close(one, other)
