"""Small networks with known weights, and their channel groups, for the tests of pruning criteria."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch_pruning.dependency import Group

from edgekd.data.batches import Batch
from edgekd.data.splits import Split, Splits
from edgekd.pruning.groups import find, name_of
from edgekd.pruning.saliency import SaliencyData


class Chain(nn.Module):
    """Two 1x1 convolutions and a linear layer with fixed weights; the filters of `first` are (3, 4), (0, 1), (2, 0)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 2, 1, bias=False)
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 1.0], [2.0, 0.0]])[:, :, None, None])
            self.second.weight.copy_(torch.tensor([[0.0, 1.0, 2.0], [12.0, 0.0, 1.0]])[:, :, None, None])
            self.norm.weight.copy_(torch.tensor([0.5, -2.0, 0.1]))

    def forward(self, x):
        return self.head(self.second(self.norm(self.first(x))).mean((2, 3)))


class Residual(nn.Module):
    """A stem and a block whose shortcut ties `stem` and `inner_out` together; one batch norm on each."""

    def __init__(self, channels: int = 8, inner: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.stem_norm = nn.BatchNorm2d(channels)
        self.inner = nn.Conv2d(channels, inner, 3, padding=1)
        self.inner_out = nn.Conv2d(inner, channels, 3, padding=1)
        self.out_norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, 2)

    def forward(self, x):
        x = F.relu(self.stem_norm(self.stem(x)))
        x = F.relu(x + self.out_norm(self.inner_out(F.relu(self.inner(x)))))
        return self.head(x.mean((2, 3)))


def group_of(model: nn.Module, layer: str, shape: tuple[int, ...]) -> Group:
    """Return the group whose channels come from `layer`."""
    by_name = {name_of(group): group for group in find(model, shape).groups}
    return by_name[layer]


def saliency_data(
    model: nn.Module, shape: tuple[int, ...] = (2, 4, 4), seed: int = 0, batch_size: int = 4
) -> SaliencyData:
    """Return saliency data with training batches of noise, and cross-entropy as the loss."""

    def loss(batch: Batch) -> torch.Tensor:
        return F.cross_entropy(model(batch.x), batch.y)

    chance = np.random.default_rng(0)
    part = Split(chance.standard_normal((12, *shape), dtype=np.float32), np.arange(12) % 2)
    mean, std = (0.0,) * shape[0], (1.0,) * shape[0]
    return SaliencyData(model, Splits(part, part, part, ("even", "odd"), mean, std), batch_size, loss, seed)
