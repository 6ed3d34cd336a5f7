"""Several teachers that answer as one: a weighted mean of their probabilities.

Hinton et al. (2015) distil such an ensemble: the arithmetic mean of what its members predict, at temperature 1. Its
logarithm is what students see as logits. The paper's other way is the geometric mean, whose logarithm is the mean of
the members' logits: of unlikely classes it keeps what each one says, where the arithmetic mean follows the one that
thinks most of them. By confidence, each teacher is weighted anew for each sample by the inverse of its perplexity,
exp(-entropy), from 1 (certain) down to 1 / classes (nothing known): no label is needed, so that it means the same on
test samples. (Zhang et al., 2022, weight by the cross-entropy with the label.) By validation, a teacher's weight is its
validation accuracy, in all samples.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.data.batches import Batch
from edgekd.distillation.run import Teacher
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs

Combine = Literal["mean", "confidence", "validation", "geometric"]
WAYS: tuple[Combine, ...] = ("mean", "confidence", "validation", "geometric")


def as_one(teachers: Sequence[Teacher], combine: Combine, validation: Sequence[float | None] = ()) -> Teacher:
    """The teachers as one; features, where they give any, are those of the last.

    Args:
        validation: the accuracy of each, for "validation" alone, which refuses one that is not known.
    """
    check(combine, validation)

    def ask(batch: Batch) -> Outputs:
        answers = [teacher(batch) for teacher in teachers]
        logits = torch.stack([each.logits.float() for each in answers])
        return replace(answers[-1], logits=combined(logits, combine, validation))

    return ask


def check(combine: Combine, validation: Sequence[float | None]) -> None:
    """Refuse weights by accuracies that are not known."""
    if combine == "validation" and None in validation:
        raise ConfigError(
            'distill.combine = "validation", and the validation accuracy of a teacher is not known',
            "validation_logits in its teacher.answers, or --set distill.combine=confidence",
        )


def combined(logits: Tensor, combine: Combine, validation: Sequence[float | None]) -> Tensor:
    """(teachers, N, classes) logits -> (N, classes): the logarithm of their mean probabilities, up to a constant."""
    if combine == "geometric":
        return logits.mean(dim=0)
    log_probabilities = F.log_softmax(logits, dim=2)
    if combine == "mean":
        weights = torch.ones(logits.shape[:2])
    elif combine == "confidence":
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=2)
        weights = torch.exp(-entropy)
    else:
        weights = torch.tensor([float(value or 0) for value in validation]).reshape(-1, 1).expand(logits.shape[:2])
    weights = weights.to(logits)
    shares = weights / weights.sum(dim=0, keepdim=True)
    return torch.logsumexp(log_probabilities + shares.clamp_min(1e-30).log().unsqueeze(2), dim=0)
