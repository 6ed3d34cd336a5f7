"""FSP matrices: the products between the channels of two consecutive stages match the teacher's (Yim et al., 2017, "A
gift from knowledge distillation")."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distillation.losses.adapters import projection
from edgekd.errors import ConfigError
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs


class SolutionFlow(nn.Module):
    """mean over consecutive layers 1, 2 of mean((G_s - G_t)^2), where G = sum over positions of F1 F2^T / positions

    Equations 1 and 2 of "A gift from knowledge distillation", G being a Gram matrix (channels of layer 1, channels of
    layer 2) of each sample. We differ in four ways. The mean over a matrix stands for its sum, so that a weight means
    the same at all widths. Channels must agree in the paper; where they do not, a learnt 1x1 convolution takes the
    student's to the teacher's. The larger of two maps is max-pooled as there, but down to the smallest of all four, so
    that both networks are compared at one resolution. And G is learnt along with everything else, where the paper
    trains by it alone first, and then by the labels. So the weight matters here: G grows with the square of the
    activations, and beside the labels a weight of 1 may be too large already.

    Args:
        layers: two or more pairs of layers with maps (C, H, W), in order, "student's:teacher's"; by default the last
            at each resolution.
    """

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers and make convolutions for those whose channels differ."""
        self.pairs = networks.pairs(self.layers, "gram", rank=3)
        if len(self.pairs) < 2:
            raise ConfigError(
                f"loss 'gram' compares products of consecutive layers; it has {self.pairs[0].student.name!r} alone",
                'layers = ["STUDENT:TEACHER", "STUDENT:TEACHER"], in the order in which they run',
            )
        self.projections = nn.ModuleList(projection(pair, "gram") for pair in self.pairs)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, C, H, W)."""
        maps = [
            (project(student.features[pair.student.name]), teacher.features[pair.teacher.name])
            for pair, project in zip(self.pairs, self.projections, strict=True)
        ]
        parts = []
        for (ours1, theirs1), (ours2, theirs2) in pairwise(maps):
            maps_of_both = (ours1, ours2, theirs1, theirs2)
            size = min(x.shape[2] for x in maps_of_both), min(x.shape[3] for x in maps_of_both)
            parts.append(F.mse_loss(_flow(ours1, ours2, size), _flow(theirs1, theirs2, size)))
        return torch.stack(parts).mean()


def _flow(first: Tensor, second: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the FSP matrix, (N, channels of the first, channels of the second)."""
    maps = (x if x.shape[2:] == size else F.adaptive_max_pool2d(x, size) for x in (first, second))
    ours, theirs = (x.flatten(2) for x in maps)
    gram: Tensor = ours @ theirs.transpose(1, 2) / ours.shape[2]
    return gram
