"""The loss of classifiers on labels, and the combination of several teachers; functions import torch when called.

Hinton et al. (2015) distil an ensemble: the arithmetic mean of what its members predict, at temperature 1. Its
logarithm is what students see as logits. The paper's other way is the geometric mean, whose logarithm is the mean of
the members' logits: for unlikely classes every member counts, where the arithmetic mean follows the member with the
highest probability. By confidence, a teacher's weight for a sample is the inverse of its perplexity, exp(-entropy),
from 1 (certain) down to 1 / classes (uniform): it needs no label, so that it means the same on test samples. (Zhang et
al., 2022, weight by the cross-entropy with the label.) By validation, a teacher's weight is its validation accuracy,
for all samples.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekd.tasks.task import Combine

if TYPE_CHECKING:
    from torch import Tensor


def label_loss(answers: "Tensor", targets: "Tensor", reduction: str = "mean") -> "Tensor":
    """Return the cross-entropy of logits (N, classes) with labels (N,), a scalar."""
    from torch.nn import functional as F

    return F.cross_entropy(answers, targets, reduction=reduction)


def likeliest(logits: "Tensor") -> "Tensor":
    """Return the top-1 class of each sample, (N,), of logits (N, classes)."""
    return logits.argmax(1)


def count_right(logits: "Tensor", labels: "Tensor") -> "Tensor":
    """Count the top-1 classes that equal the labels (N,): an integer tensor on the logits' device."""
    return (likeliest(logits) == labels).sum()


def combine(logits: "Tensor", way: Combine, validation: Sequence[float | None]) -> "Tensor":
    """Combine logits (teachers, N, classes): the logarithm of their mean probabilities, (N, classes), up to a constant.

    Args:
        validation: each teacher's validation accuracy, which "validation" weights by.
    """
    import torch
    from torch.nn import functional as F

    if way == "geometric":
        return logits.mean(dim=0)
    log_probabilities = F.log_softmax(logits, dim=2)
    if way == "mean":
        weights = torch.ones(logits.shape[:2])
    elif way == "confidence":
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=2)
        weights = torch.exp(-entropy)
    else:
        weights = torch.tensor([float(value or 0) for value in validation]).reshape(-1, 1).expand(logits.shape[:2])
    weights = weights.to(logits)
    shares = weights / weights.sum(dim=0, keepdim=True)
    return torch.logsumexp(log_probabilities + shares.clamp_min(1e-30).log().unsqueeze(2), dim=0)
