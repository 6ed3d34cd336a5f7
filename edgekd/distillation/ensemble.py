"""An ensemble of teachers as one teacher."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from edgekd.data.batches import Batch
from edgekd.distillation.run import Teacher
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs
from edgekd.tasks.task import Combine, Task


def combine_teachers(
    teachers: Sequence[Teacher], task: Task, combine: Combine, validation: Sequence[float | None] = ()
) -> Teacher:
    """Return one teacher that combines the answers of several; its features are those of the last teacher.

    Args:
        validation: each teacher's validation score, which `combine = "validation"` weights by.

    Raises:
        ConfigError: the task can't combine answers, or a validation score that is needed is None.
    """
    check_weights(task, combine, validation)
    combine_answers = combine_function(task, "several teachers")

    def ask(batch: Batch) -> Outputs:
        answers = [teacher(batch) for teacher in teachers]
        logits = torch.stack([each.logits.float() for each in answers])
        return replace(answers[-1], logits=combine_answers(logits, combine, validation))

    return ask


def combine_function(task: Task, who: str) -> Callable[[Tensor, Combine, Sequence[float | None]], Tensor]:
    """Return the task's function that combines several answers; ConfigError where the task has none.

    Args:
        who: what needs the function, for the error.
    """
    if task.answers.combine is None:
        raise ConfigError(
            f"{who}: task {task.name!r} has no way to make one answer of theirs", "one teacher: teacher.members = 1"
        )
    return task.answers.combine


def check_weights(task: Task, combine: Combine, validation: Sequence[float | None]) -> None:
    """Raise ConfigError where teachers are to be weighted by validation scores and one score is unknown."""
    if combine == "validation" and None in validation:
        raise ConfigError(
            f'distill.combine = "validation", and the validation {task.words.score} of a teacher is not known',
            f"validation_{task.answers.archive_names[0]} in its teacher.answers, or --set distill.combine=confidence",
        )
