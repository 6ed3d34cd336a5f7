"""Random scores: the baseline that every other criterion has to beat."""

import hashlib

import torch
from torch import Tensor
from torch_pruning.dependency import Group

from edgekd.pruning.groups import name_of, width
from edgekd.pruning.saliency import SaliencyData


def random(group: Group, data: SaliencyData) -> Tensor:
    """Uniform in [0, 1), from the seed of the cut and the group's name alone: (channels,)."""
    digest = hashlib.sha256(f"{data.seed} {name_of(group)}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    return torch.rand(width(group), generator=generator)
