"""A small text classifier after BERT: embeddings, self-attention and a linear layer (Devlin et al., 2019,
arXiv:1810.04805)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import ModelError
from edgekd.models.parts import positive


class Attention(nn.Module):
    """Self-attention with several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, length, width) to the same shape."""
        q, k, v = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        out: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """Split the heads: (N, length, width) -> (N, heads, length, head width)."""
        return x.reshape(*x.shape[:2], self.heads, self.head_width).transpose(1, 2)


class Block(nn.Module):
    """Attention and two linear layers, each followed by a residual addition and layer norm, in BERT's order."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.relu = nn.ReLU()
        self.linear2 = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, length, width) to the same shape."""
        x = self.norm1(x + self.dropout(self.attention(x)))
        out: Tensor = self.norm2(x + self.dropout(self.linear2(self.relu(self.linear1(x)))))
        return out


class TextEncoder(nn.Module):
    """Takes tokens (N, length) of a fixed length; padding is a token like any other.

    Differs from BERT: ReLU for GELU, the mean over positions for the first token's vector, no masks, no segments.

    Args:
        vocabulary: number of tokens; a data set that has a vocabulary sets it.
        width: width of each token's vector; `heads` must divide it.
        heads: number of attention heads.
        layers: number of attention blocks.
        hidden: width between the two linear layers of a block.
        dropout: share of values that training leaves out, after the embedding and in each branch.
    """

    def __init__(
        self,
        classes: int,
        input_shape: Sequence[int],
        vocabulary: int = 8000,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        hidden: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ModelError(
                f"text_encoder takes tokens (length,); these inputs have shape {tuple(input_shape)}",
                "a data set with a vocabulary, such as sst2",
            )
        positive("text_encoder", vocabulary=vocabulary, width=width, heads=heads, layers=layers, hidden=hidden)
        if width % heads:
            raise ModelError(
                f"text_encoder: width = {width} is no multiple of heads = {heads}", f"width = {16 * heads}"
            )
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.empty(int(input_shape[0]), width))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, hidden, dropout) for _ in range(layers)))
        self.linear = nn.Linear(width, classes)
        for table in (self.embedding.weight, self.position):
            nn.init.normal_(table, std=0.02)  # as BERT's are

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, length) to logits (N, classes)."""
        x = self.dropout(self.norm(self.embedding(tokens) + self.position))
        logits: Tensor = self.linear(self.blocks(x).mean(1))
        return logits
