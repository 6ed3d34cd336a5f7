"""Several teachers that answer as one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from edgekd.data.batches import Batch
from edgekd.distillation.run import Teacher
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs
from edgekd.tasks.task import Combine, Task


def as_one(
    teachers: Sequence[Teacher], task: Task, combine: Combine, validation: Sequence[float | None] = ()
) -> Teacher:
    """The teachers as one; features, where they give any, are those of the last.

    Args:
        validation: the score of each, for "validation" alone, which refuses one that is not known.
    """
    check_weights(task, combine, validation)
    together = combine_of(task, "several teachers")

    def ask(batch: Batch) -> Outputs:
        answers = [teacher(batch) for teacher in teachers]
        logits = torch.stack([each.logits.float() for each in answers])
        return replace(answers[-1], logits=together(logits, combine, validation))

    return ask


def combine_of(task: Task, who: str) -> Callable[[Tensor, Combine, Sequence[float | None]], Tensor]:
    """How the task makes one answer of several; ConfigError where it can't.

    Args:
        who: needs it, for errors.
    """
    if task.answers.combine is None:
        raise ConfigError(
            f"{who}: task {task.name!r} has no way to make one answer of theirs", "one teacher: teacher.members = 1"
        )
    return task.answers.combine


def check_weights(task: Task, combine: Combine, validation: Sequence[float | None]) -> None:
    """Refuse weights by scores that are not known."""
    if combine == "validation" and None in validation:
        raise ConfigError(
            f'distill.combine = "validation", and the validation {task.words.score} of a teacher is not known',
            f"validation_{task.answers.archive_names[0]} in its teacher.answers, or --set distill.combine=confidence",
        )
