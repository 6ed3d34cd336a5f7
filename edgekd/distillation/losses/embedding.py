"""Embeddings: the student's token vectors match the teacher's through a learnt matrix (TinyBERT: Jiao et al., 2020,
arXiv:1909.10351)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distillation.losses.adapters import projection
from edgekd.errors import ConfigError
from edgekd.nn.layers import Layer, Networks, Pair
from edgekd.nn.outputs import Outputs


class Embeddings(nn.Module):
    """mean((E_s W - E_t)^2)

    Equation 9 of "TinyBERT: distilling BERT for natural language understanding". E are the vectors of the tokens that
    occur in the batch, of the first `Embedding` in each network; name the layer after it (`layers = ["norm"]`) to
    include the position embeddings, as BERT does. TinyBERT's code shares W with its hidden states; here
    it is a matrix of its own, and there is none where the networks are equally wide.

    Args:
        layers: pairs of layers with sequences (length, width), "student's:teacher's"; by default the first embeddings.
    """

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Find the embeddings and make the matrix."""
        if self.layers:
            self.pairs = networks.pairs(self.layers, "embedding", rank=2)
        else:
            self.pairs = (
                Pair(_first_embedding(networks.student, "student"), _first_embedding(networks.teacher, "teacher")),
            )
        self.projections = nn.ModuleList(projection(pair, "embedding") for pair in self.pairs)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, length, width)."""
        parts = [
            F.mse_loss(project(student.features[pair.student.name]), teacher.features[pair.teacher.name])
            for pair, project in zip(self.pairs, self.projections, strict=True)
        ]
        return torch.stack(parts).mean()


def _first_embedding(layers: Sequence[Layer], whose: str) -> Layer:
    embedding = next((layer for layer in layers if layer.kind == "Embedding" and len(layer.shape) == 2), None)
    if embedding is None:
        raise ConfigError(
            f"loss 'embedding': the {whose} has no layer of the kind Embedding",
            f'layers = ["STUDENT:TEACHER"]; of the {whose} one of {", ".join(layer.name for layer in layers)}',
        )
    return embedding
