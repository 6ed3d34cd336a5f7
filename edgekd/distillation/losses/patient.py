"""Patient distillation: the student's sentence vectors follow the teacher's through the layers (PKD: Sun et al., 2019,
arXiv:1908.09355)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.distillation.losses.adapters import projection
from edgekd.distillation.losses.directions import unit
from edgekd.nn.layers import Layer, Networks, Pair
from edgekd.nn.outputs import Outputs


class PatientStates(nn.Module):
    """mean over pairs of || h_s / |h_s| - h_t / |h_t| ||^2, sample by sample, where h sums a layer up as one vector

    The loss PT of "Patient knowledge distillation for BERT model compression", with the mean over layers for their sum.
    There h is the state of the first token, which BERT classifies by; edgekd's encoder classifies by the mean over
    positions, so that is the default. The paper has networks of one width; where widths differ, a learnt matrix takes
    the student's vector to the teacher's. Without names the layers are matched by depth (the paper's PKD-Skip) and the
    last pair is left out, as there: the answers come from it anyway. Weights of 10 to 1000 are the paper's.

    Args:
        layers: pairs of layers, "student's:teacher's"; by default all but the last, matched by depth.
        vector: what stands for a sequence: the "mean" of its positions, or the "first" of them.
    """

    def __init__(self, layers: Sequence[str] | None = None, vector: Literal["mean", "first"] = "mean") -> None:
        super().__init__()
        if vector not in ("mean", "first"):
            raise ValueError(f"vector = {vector!r} must be 'mean' or 'first'")
        self.layers, self.vector = layers, vector
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers and make matrices for those whose widths differ."""
        pairs = networks.pairs(self.layers, "patient")
        self.pairs = pairs if self.layers or len(pairs) == 1 else pairs[:-1]
        vectors = [Pair(_vector_layer(pair.student), _vector_layer(pair.teacher)) for pair in self.pairs]
        self.projections = nn.ModuleList(projection(pair, "patient") for pair in vectors)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, length, width), (N, C, H, W) or (N, width)."""
        parts = []
        for pair, project in zip(self.pairs, self.projections, strict=True):
            ours = project(self._vector(student.features[pair.student.name]))
            theirs = self._vector(teacher.features[pair.teacher.name])
            parts.append((unit(ours) - unit(theirs)).square().sum(1).mean())
        return torch.stack(parts).mean()

    def _vector(self, x: Tensor) -> Tensor:
        """Return one vector a sample, (N, width)."""
        if x.ndim == 4:
            return x.mean((2, 3))
        if x.ndim == 3:
            return x.mean(1) if self.vector == "mean" else x[:, 0]
        return x


def _vector_layer(layer: Layer) -> Layer:
    """Return the layer with the shape that `_vector` gives it: a map's channels, a sequence's or a vector's width."""
    width = layer.shape[0] if len(layer.shape) == 3 else layer.shape[-1]
    return Layer(layer.name, layer.kind, (width,))
