"""Relations between samples: the distances and angles between the student's vectors match the teacher's (RKD: Park et
al., 2019, arXiv:1904.05068)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distillation.losses.directions import unit
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs


class RelationalDistances(nn.Module):
    """distance * huber(d_s, d_t) + angle * huber(a_s, a_t)

    Section 3.2 of "Relational knowledge distillation": d are the distances between the batch's vectors, divided
    by their mean; a the cosines of the angles that each three of them form; Huber's loss is quadratic up to a
    difference of 1. Means over all pairs and all triplets stand for sums, as in the authors' code, those of a sample
    with itself (which are 0) included. The weights of 25 and 50 are the paper's, of which either may be 0. Vectors may
    be of any widths: only relations are compared. Angles take N^3 numbers for a batch of N, and N^2 vectors.

    Args:
        layers: pairs of layers, "student's:teacher's"; by default the inputs of the classifiers.
        distance: weight of the distances.
        angle: weight of the angles.
    """

    def __init__(self, layers: Sequence[str] | None = None, distance: float = 25.0, angle: float = 50.0) -> None:
        super().__init__()
        if distance < 0 or angle < 0 or distance + angle == 0:
            raise ValueError(f"distance = {distance} and angle = {angle} must not be below 0, nor both be 0")
        self.layers, self.distance, self.angle = layers, distance, angle
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers."""
        self.pairs = networks.embeddings(self.layers, "rkd")

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, ...) of any shapes; it is 0 for a single sample."""
        total = student.logits.new_zeros(())
        for pair in self.pairs:
            ours = _differences(student.features[pair.student.name].flatten(1))
            theirs = _differences(teacher.features[pair.teacher.name].flatten(1))
            if self.distance:
                total = total + self.distance * F.smooth_l1_loss(_distances(ours), _distances(theirs))
            if self.angle:
                total = total + self.angle * F.smooth_l1_loss(_cosines(ours), _cosines(theirs))
        return total / len(self.pairs)


def _differences(x: Tensor) -> Tensor:
    """Return the differences of all pairs, (N, N, width), of x (N, width): entry [i, j] = x[j] - x[i]."""
    return x[None] - x[:, None]


def _distances(differences: Tensor) -> Tensor:
    """Return the distances (N, N), divided by their mean over pairs of two different samples."""
    lengths = differences.norm(dim=2)
    pairs = len(lengths) * (len(lengths) - 1)
    shares: Tensor = lengths / (lengths.sum() / max(pairs, 1)).clamp_min(1e-6)
    return shares


def _cosines(differences: Tensor) -> Tensor:
    """Return the cosines (N, N, N) of all angles: entry [i, j, k] is at sample i, between j and k."""
    towards = unit(differences)
    return towards @ towards.transpose(1, 2)
