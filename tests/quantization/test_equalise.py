"""Equalisation gives channels similar ranges without changing what the network computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekd.graph.capture import capture
from edgekd.graph.ops import Linear
from edgekd.graph.structure import Graph
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization.equalise import equalised, pairs
from edgekd.quantization.simulate import Simulation


def two_layers() -> Graph:
    first = Linear("first", ("x",), "h", np.array([[4.0], [0.25]], np.float32), np.zeros(2, np.float32))
    second = Linear("second", ("h",), "y", np.array([[1.0, 1.0]], np.float32), np.zeros(1, np.float32))
    tensors = {name: GraphTensor(name, (size,)) for name, size in (("x", 1), ("h", 2), ("y", 1))}
    return Graph(("x",), ("y",), tensors, (replace(first, activation="relu"), second))


class Chain(nn.Module):
    """A convolution, a depthwise one, a pool and a linear layer, with ReLUs between them."""

    def __init__(self, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(2, 6, 3, padding=1), activation()
        self.depthwise, self.grouped = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 6, 1, groups=3)
        self.head = nn.Linear(6 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.grouped(self.act(self.depthwise(self.act(self.conv(x))))))
        return self.head(torch.max_pool2d(x, 4).flatten(1))


def skewed(model: nn.Module, seed: int = 0) -> nn.Module:
    """Scale a model's channels until some are a thousand times stronger than others."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.data *= torch.logspace(-1.5, 1.5, len(parameter)).reshape(-1, *[1] * (parameter.dim() - 1))
    return model.eval()


def test_two_layers_by_hand() -> None:
    first, second = equalised(two_layers()).weighted()
    np.testing.assert_allclose(first.weight, [[2.0], [0.5]], rtol=1e-6)  # s = sqrt(4 / 1) and sqrt(0.25 / 1)
    np.testing.assert_allclose(second.weight, [[2.0, 0.5]], rtol=1e-6)


def test_the_network_computes_the_same() -> None:
    graph = capture(skewed(Chain()), (2, 8, 8))
    x = torch.randn(4, 2, 8, 8)
    with torch.no_grad():
        before, after = Simulation(graph)(x), Simulation(equalised(graph))(x)
    assert not torch.equal(before, after)
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


def test_every_pair_of_a_chain_is_equally_strong_in_the_end() -> None:
    graph = equalised(capture(skewed(Chain()), (2, 8, 8)))
    layers = {op.name: op for op in graph.weighted()}
    assert [(pair.first, pair.second) for pair in pairs(graph)] == [
        ("conv", "depthwise"), ("depthwise", "grouped"), ("grouped", "head"),
    ]  # fmt: skip
    conv, depthwise = layers["conv"], layers["depthwise"]
    r1 = np.maximum(np.abs(conv.weight).max(axis=(1, 2, 3)), np.abs(conv.bias))
    np.testing.assert_allclose(r1, np.abs(depthwise.weight).max(axis=(1, 2, 3)), rtol=0.02)


def test_a_flattened_map_has_a_channel_in_several_inputs() -> None:
    last = pairs(capture(Chain(), (2, 8, 8)))[-1]
    np.testing.assert_array_equal(last.channels, np.repeat(np.arange(6), 4))


def test_skewed_channels_survive_int8_better() -> None:
    torch.manual_seed(0)
    model, factors = Chain().eval(), torch.logspace(-1.5, 1.5, 6).reshape(-1, 1, 1, 1)
    with torch.no_grad():  # strong in one layer, weak in the next: what the network computes stays
        model.conv.weight *= factors
        model.conv.bias *= factors.flatten()
        model.depthwise.weight /= factors
    graph, noise = capture(model, (2, 8, 8)), []
    x = torch.randn(64, 2, 8, 8)
    for candidate in (graph, equalised(graph)):
        simulation = Simulation(candidate).eval()
        with torch.no_grad():
            float_logits = simulation(x)
            simulation.calibrate([x])
            simulation.fake_quantized = True
            noise.append(float((simulation(x) - float_logits).square().mean()))
    assert noise[1] < 0.4 * noise[0]


def test_a_relu6_is_not_passed_and_neither_is_a_tensor_that_others_read() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(2, 2, 1) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.a(x))
            return self.c(torch.relu(x + self.b(x)))

    assert pairs(capture(Residual(), (2, 4, 4))) == []
    assert [pair.first for pair in pairs(capture(Chain(nn.ReLU6), (2, 8, 8)))] == []


def test_a_dead_channel_stays_as_it_is() -> None:
    graph = two_layers()
    first = graph.operators[0]
    assert isinstance(first, Linear)
    dead = replace(first, weight=np.array([[4.0], [0.0]], np.float32))
    result = equalised(replace(graph, operators=(dead, graph.operators[1])))
    assert all(np.isfinite(op.weight).all() for op in result.weighted())
    assert list(result.weighted())[1].weight[0, 1] == pytest.approx(1.0)
