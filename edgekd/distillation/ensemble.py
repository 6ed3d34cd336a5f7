"""Several teachers that answer as one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from edgekd.data.batches import Batch
from edgekd.distillation.run import Teacher
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs
from edgekd.tasks.classification.learning import combined

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
