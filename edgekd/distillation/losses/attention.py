"""Attention transfer: the student's feature maps are strong where the teacher's are (Zagoruyko and Komodakis, 2017,
arXiv:1612.03928)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs


class AttentionTransfer(nn.Module):
    """mean over pairs of || Q_s / |Q_s| - Q_t / |Q_t| ||^2 / positions, where Q = sum over channels of |A|^power

    Equation 2 of the paper, with the mean of squares that its own code uses, whose customary weight is 1000 (a beta of
    1e3, halved). Maps of different sizes are pooled to the smaller one.

    Args:
        layers: pairs of layers with maps (C, H, W), "student's:teacher's"; by default the last at each resolution.
        power: exponent of the activations; the paper's is 2.
    """

    def __init__(self, layers: Sequence[str] | None = None, power: float = 2.0) -> None:
        super().__init__()
        if power <= 0:
            raise ValueError(f"power = {power} must be above 0")
        self.layers, self.power = layers, power
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers."""
        self.pairs = networks.pairs(self.layers, "attention", rank=3)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, C, H, W), whose channels need not agree."""
        parts = [
            self._distance(student.features[pair.student.name], teacher.features[pair.teacher.name])
            for pair in self.pairs
        ]
        return sum(parts, start=student.logits.new_zeros(())) / len(parts)

    def _distance(self, ours: Tensor, theirs: Tensor) -> Tensor:
        height, width = (min(a, b) for a, b in zip(ours.shape[2:], theirs.shape[2:], strict=True))
        student_map, teacher_map = (self._map(F.adaptive_avg_pool2d(x, (height, width))) for x in (ours, theirs))
        return (student_map - teacher_map).square().mean()

    def _map(self, x: Tensor) -> Tensor:
        """Return each sample's attention map as a vector of length 1: (N, C, H, W) -> (N, H * W)."""
        return F.normalize(x.abs().pow(self.power).sum(1).flatten(1), dim=1)
