"""Small networks for the tests of the graph and its writers, with weights and statistics that look trained."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.graph import reference
from edgekd.graph.capture import Example, capture
from edgekd.graph.structure import Array, Graph
from edgekd.quantization.simulate import Simulation


class Everything(nn.Module):
    """Every operator: strided, padded and depthwise convolutions, pools, slices, adds and linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 16, 1)
        self.wide = nn.Conv2d(16, 32, 3, padding=1)
        self.last = nn.Linear(32 * 2 * 2, 10)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.norm(self.stem(x)))
        x = F.relu(x + self.pointwise(F.relu(self.depthwise(x))))
        shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
        x = F.relu(F.avg_pool2d(self.wide(x), 2) + shortcut)
        return self.last(F.max_pool2d(x, 2).flatten(1)) + self.head(x.mean((2, 3)))


class Perceptron(nn.Module):
    """Linear layers with batch norm, on flattened images."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.norm, self.last = nn.Linear(48, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.norm(self.hidden(x.flatten(1)))))


def lived_in(model: nn.Module, *shapes: tuple[int, ...], seed: int = 0) -> nn.Module:
    """Return the model in evaluation mode, with channels of different scales and batch norm statistics."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3 if parameter.dim() < 2 else (2 / parameter[0].numel()) ** 0.5)
        parameter.data *= torch.rand(len(parameter), *[1] * (parameter.dim() - 1)) * 2 + 0.1
    for _ in range(3):
        model.train()(*(torch.randn(16, *shape) for shape in shapes))
    return model.eval()


def quantized(
    model: nn.Module | Graph, *shapes: Example, samples: int = 32, kernels: str = "xnnpack"
) -> tuple[Simulation, Graph, tuple[Array, ...]]:
    """Return the calibrated simulation of a model or graph, its int8 graph, and random int8 codes for every input."""
    captured = model if isinstance(model, Graph) else capture(model, *shapes)
    simulation = Simulation(captured, kernels).eval()
    chance = np.random.default_rng(1)
    x = tuple(torch.from_numpy(_random_values(chance, samples, shape)) for shape in shapes)
    simulation.calibrate([x])
    simulation.fake_quantized = True
    graph = simulation.quantized_graph()
    codes = (reference.input_codes(graph, name, values.numpy()) for values, name in zip(x, graph.inputs, strict=True))
    return simulation, graph, tuple(codes)


def _random_values(chance: np.random.Generator, samples: int, example: Example) -> Array:
    """Return normal values of a shape, or tokens up to the largest one of an example."""
    if isinstance(example, Tensor):
        return chance.integers(0, int(example.max()) + 1, (samples, *example.shape), dtype=np.int32)
    return chance.normal(size=(samples, *example)).astype(np.float32)
