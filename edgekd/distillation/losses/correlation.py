"""Correlation congruence: any two samples are as similar, by a Gaussian kernel, as they are to the teacher (Peng et
al., 2019, arXiv:1904.01802)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.distillation.losses.directions import unit
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs


class CorrelationCongruence(nn.Module):
    """|| C_s - C_t ||^2 / N^2, where C[i, j] = exp(-2 gamma) * sum over p = 0 ... order of (2 gamma x_i . x_j)^p / p!

    Section 3 of "Correlation congruence for knowledge distillation", for vectors x of length 1: the Taylor expansion
    of the Gaussian kernel exp(-gamma |x_i - x_j|^2), which is of the order 2 in the paper, gamma 0.4.
    Vectors may be of any widths. The paper fills its batches by class, so that samples which are close occur in each;
    ours are drawn evenly. It adds the labels (`{name = "labels"}`) and soft targets. We know of no customary
    weight: C differs by little, and the loss starts at about 0.05 for a ResNet-8 under a ResNet-56.

    Args:
        layers: pairs of layers, "student's:teacher's"; by default the inputs of the classifiers.
        gamma: the kernel falls with gamma times the squared distance; where it is large, only near neighbours count.
        order: order of the expansion, 1 or more.
    """

    def __init__(self, layers: Sequence[str] | None = None, gamma: float = 0.4, order: int = 2) -> None:
        super().__init__()
        if gamma <= 0 or order < 1:
            raise ValueError(f"gamma = {gamma} must be above 0, and order = {order} at least 1")
        self.layers, self.gamma, self.order = layers, gamma, order
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers."""
        self.pairs = networks.embeddings(self.layers, "correlation")

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, ...) of any shapes; it is 0 for a single sample."""
        parts = [
            (self._kernel(student.features[pair.student.name]) - self._kernel(teacher.features[pair.teacher.name]))
            .square()
            .mean()
            for pair in self.pairs
        ]
        return torch.stack(parts).mean()

    def _kernel(self, features: Tensor) -> Tensor:
        """Return the kernel of all pairs of samples, (N, N)."""
        x = unit(features.flatten(1))
        cosines, factor = x @ x.T, 2 * self.gamma
        powers = (factor**p / math.factorial(p) * cosines**p for p in range(self.order + 1))
        return math.exp(-factor) * sum(powers, start=torch.zeros_like(cosines))
