"""Hints: a layer of the student predicts a layer of the teacher through a learnt regressor (FitNets: Romero et al.,
2015, arXiv:1412.6550)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distillation.losses.adapters import pool_to_smaller, regressor
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs


class Hints(nn.Module):
    """mean over pairs of 1/2 * mean((teacher - regressor(student))^2)

    Equation 3 of "FitNets: hints for thin deep nets". We differ in three ways. The mean of squares stands for their
    sum, so that a weight means the same for layers of all sizes; 100 is customary. The regressor looks at one position
    (a 1x1 convolution, or a linear layer for sequences and vectors), and the finer of two maps is pooled, where theirs
    is as large as it must be to bridge the resolutions. And the hint is learnt along with everything else, where the
    paper trains up to the hinted layer first, and then by soft targets.

    Args:
        layers: pairs of layers, "student's:teacher's"; by default the middle one of those that fit, as in the paper.
    """

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers and make their regressors."""
        pairs = networks.pairs(self.layers, "hints")
        self.pairs = pairs if self.layers else (pairs[len(pairs) // 2],)
        self.regressors = nn.ModuleList(regressor(pair, "hints") for pair in self.pairs)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, C, H, W), (N, length, width) or (N, width)."""
        parts = []
        for pair, regress in zip(self.pairs, self.regressors, strict=True):
            ours, theirs = pool_to_smaller(student.features[pair.student.name], teacher.features[pair.teacher.name])
            parts.append(F.mse_loss(regress(ours), theirs) / 2)
        return torch.stack(parts).mean()
