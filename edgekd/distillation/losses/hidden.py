"""Hidden states: the outputs of the student's transformer blocks match the teacher's through a learnt matrix (TinyBERT:
Jiao et al., 2020, arXiv:1909.10351)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distillation.losses.adapters import projection
from edgekd.errors import ConfigError
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs


class HiddenStates(nn.Module):
    """mean over pairs of mean((H_s W - H_t)^2)

    Equation 8 of "TinyBERT: distilling BERT for natural language understanding" (Jiao et al., 2020), with the mean over
    layers for their sum. Blocks are matched by depth, the last with the last, which is TinyBERT's uniform mapping. One
    matrix W serves all layers, as there; where the networks are equally wide there is none.

    Args:
        layers: pairs of layers with sequences (length, width), "student's:teacher's"; by default matched by depth.
        shared: use one matrix for all layers; false gives each its own.
    """

    def __init__(self, layers: Sequence[str] | None = None, shared: bool = True) -> None:
        super().__init__()
        self.layers, self.shared = layers, shared
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers and make the matrix, or matrices."""
        self.pairs = networks.pairs(self.layers, "hidden", rank=2)
        widths = {(pair.student.shape, pair.teacher.shape) for pair in self.pairs}
        if self.shared and len(widths) > 1:
            raise ConfigError("loss 'hidden' can't share one matrix between layers of several widths", "shared = false")
        different = self.pairs[:1] if self.shared else self.pairs
        self.projections = nn.ModuleList(projection(pair, "hidden") for pair in different)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, length, width)."""
        parts = []
        for number, pair in enumerate(self.pairs):
            project = self.projections[0 if self.shared else number]
            ours, theirs = project(student.features[pair.student.name]), teacher.features[pair.teacher.name]
            parts.append(F.mse_loss(ours, theirs))
        return torch.stack(parts).mean()
