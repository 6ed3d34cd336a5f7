"""Attention maps: each token attends to the others as much as in the teacher (TinyBERT: Jiao et al., 2020,
arXiv:1909.10351)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import ConfigError
from edgekd.nn.layers import Layer, Networks, Pair
from edgekd.nn.outputs import Outputs


class AttentionMaps(nn.Module):
    """mean over pairs and heads of mean((A_s - A_t)^2), where A = Q K^T / sqrt(head width), (length, length)

    Equation 7 of "TinyBERT: distilling BERT for natural language understanding", of the scores before softmax, with
    which TinyBERT learnt faster; the mean over layers stands for their sum. Scores are computed here from the outputs
    of "<attention>.query" and "<attention>.key", so those must be modules of their own. Where the numbers of heads
    differ, which TinyBERT rules out, the scores are averaged over heads first.

    Args:
        layers: pairs of attention modules, "student's:teacher's"; by default all of the student's, matched by depth.
        student_heads, teacher_heads: number of heads, where the attention modules do not have it as an attribute
            `heads`, `num_heads`, `num_attention_heads` or `n_heads`.
        query, key: names of the two modules within an attention.
    """

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        student_heads: int | None = None,
        teacher_heads: int | None = None,
        query: str = "query",
        key: str = "key",
    ) -> None:
        super().__init__()
        self.layers, self.query, self.key = layers, query, key
        self.student_heads, self.teacher_heads = student_heads, teacher_heads
        self.attentions: tuple[tuple[Pair, Pair], ...] = ()
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Find the attentions, and how many heads each has."""
        self.attentions = networks.attentions(self.layers, "attention_maps", self.query, self.key)
        self.pairs = tuple(pair for queries_and_keys in self.attentions for pair in queries_and_keys)
        self.heads = [
            (_heads(q.student, self.student_heads, "student"), _heads(q.teacher, self.teacher_heads, "teacher"))
            for q, _ in self.attentions
        ]
        for pair in self.pairs:
            if pair.student.shape[0] != pair.teacher.shape[0]:
                raise ConfigError(
                    f"loss 'attention_maps' compares token with token; {pair.student.name!r} has "
                    f"{pair.student.shape[0]}, the teacher's {pair.teacher.name!r} {pair.teacher.shape[0]}",
                    "a teacher that reads the same tokens as the student",
                )

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of the queries and keys, (N, length, width)."""
        parts = []
        for (queries, keys), (ours, theirs) in zip(self.attentions, self.heads, strict=True):
            student_scores = _scores(student.features[queries.student.name], student.features[keys.student.name], ours)
            teacher_scores = _scores(
                teacher.features[queries.teacher.name], teacher.features[keys.teacher.name], theirs
            )
            if ours != theirs:
                student_scores, teacher_scores = student_scores.mean(1), teacher_scores.mean(1)
            parts.append(F.mse_loss(student_scores, teacher_scores))
        return torch.stack(parts).mean()


def _scores(queries: Tensor, keys: Tensor, heads: int) -> Tensor:
    """Return the attention scores before softmax, (N, heads, length, length), of (N, length, width)."""
    q, k = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (queries, keys))
    scores: Tensor = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    return scores


def _heads(queries: Layer, setting: int | None, whose: str) -> int:
    heads, width = queries.heads if setting is None else setting, queries.shape[-1]
    if heads is None:
        raise ConfigError(
            f"loss 'attention_maps' does not know how many heads the {whose}'s {queries.name!r} has",
            f"{whose}_heads = {max(width // 64, 1)}, say",
        )
    if heads < 1 or width % heads:
        raise ConfigError(
            f"loss 'attention_maps': the {whose}'s {queries.name!r} is {width} wide, no multiple of {heads} heads",
            f"{whose}_heads that divide {width}",
        )
    return heads
