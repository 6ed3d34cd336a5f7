"""Similarity preservation: samples that are similar in the teacher's layer are similar in the student's (Tung and Mori,
2019, arXiv:1907.09682)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.distillation.losses.directions import unit
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs


class SimilarityPreserving(nn.Module):
    """mean over pairs of || G_s - G_t ||^2 / N^2, where G = A A^T with rows of length 1, for activations A (N, all)

    Section 3 of "Similarity-preserving knowledge distillation", with the mean over layers for their sum. Layers of any
    shapes can be compared; 3000 is the paper's weight, beside cross-entropy (`{name = "labels"}`).

    Args:
        layers: pairs of layers, "student's:teacher's"; by default the last of those that fit, as in the paper.
    """

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers."""
        pairs = networks.pairs(self.layers, "similarity")
        self.pairs = pairs if self.layers else pairs[-1:]

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, ...) of any shapes; it is 0 for a single sample."""
        parts = [
            (_similarities(student.features[pair.student.name]) - _similarities(teacher.features[pair.teacher.name]))
            .square()
            .mean()
            for pair in self.pairs
        ]
        return torch.stack(parts).mean()


def _similarities(features: Tensor) -> Tensor:
    """Return the similarities of all pairs of samples, (N, N), with rows of length 1."""
    rows = features.flatten(1)
    return unit(rows @ rows.T, dim=1)
