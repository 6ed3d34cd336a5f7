"""A regression task for tests: one number for each sample, with mean absolute error and distillation by squared error.

It is one module and one row of the tasks' table; its data are scikit-learn's diabetes data set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import DataError, ModelError
from edgekd.nn.outputs import Outputs
from edgekd.results import Measure, TaskWords
from edgekd.tasks.division import plain
from edgekd.tasks.spread import host_quantity, spread
from edgekd.tasks.task import AnswerArray, Answers, Array, Classes, Score, Scoring, Targets, Task, Transfer

ROW = {"regression": f"{__name__}:REGRESSION"}
"""The task's row, for `catalog.TASKS`."""
UNIT = "hundreds"


def diabetes() -> dict[str, Any]:
    """Return ten measurements of each of 442 patients, and the progression of the disease after a year, in hundreds."""
    data = load_diabetes()
    x, y = data.data.astype(np.float32), (data.target / 100).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(y))
    return {part: (x[indices], y[indices]) for part, indices in (("train", order[:352]), ("test", order[352:]))}


class SquaredError(nn.Module):
    """The loss (1 - hard) * mean (student - teacher)^2 + hard * mean (student - target)^2."""

    compares = "values"

    def __init__(self, hard: float = 0.5) -> None:
        super().__init__()
        self.hard = hard

    def forward(self, student: Outputs, teacher: Outputs, targets: Tensor) -> Tensor:
        """Return the loss of outputs (N, 1) and targets (N, 1)."""
        soft, hard = F.mse_loss(student.logits, teacher.logits), F.mse_loss(student.logits, targets)
        return (1 - self.hard) * soft + self.hard * hard


def one_target(value: Array) -> Array | None:
    """Convert a number, or a list of one number."""
    return None if value.shape not in ((), (1,)) or value.dtype.kind not in "fiu" else np.float32(value.reshape(1))


def check_targets(y: Array, part: str) -> Array:
    """Check the targets, and return them as (N, 1), float32."""
    if y.shape not in ((len(y),), (len(y), 1)) or y.dtype.kind not in "fiu" or not np.isfinite(y).all():
        what = f"{part}: targets of shape {y.shape} ({y.dtype}) are not one finite number each"
        raise DataError(what, "targets (N,) or (N, 1)")
    return y.reshape(-1, 1).astype(np.float32)


def no_classes(targets: Mapping[str, Array], names: Classes | None) -> Classes:
    """Return no classes, since targets are numbers."""
    if names:
        raise DataError("the data set names classes, and its targets are numbers", 'task = "classification"')
    return ()


def label_loss(answers: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Return the squared error."""
    return F.mse_loss(answers, targets, reduction=reduction)


def read(numbers: Array, gives: str, who: str) -> Array:
    """Return the values in float32."""
    if gives == "probabilities":
        raise ModelError(f"{who} was to give probabilities, and this task's answers are values", "leave gives out")
    return numbers.astype(np.float32)


def from_archive(arrays: Mapping[str, Array], prefix: str, shape: tuple[int, ...], file: str) -> AnswerArray | None:
    """Read `values`, (N, 1), from an archive."""
    values = arrays.get(f"{prefix}values")
    return None if values is None else AnswerArray(values, "logits", f"{prefix}values")


def mean_absolute_error(answers: Array, y: Array) -> Score:
    """Return the mean absolute error with its standard error."""
    errors = np.abs(answers.astype(np.float64) - y)
    return Score(float(errors.mean()), float(errors.std(ddof=1) / np.sqrt(len(errors))))


def mean_difference(answers: Array, others: Array) -> float:
    """Return the mean absolute difference of two networks' outputs."""
    return float(np.abs(answers.astype(np.float64) - others).mean())


def root_mean_square(answers: Array, y: Array) -> float:
    """Return the root mean square of the errors."""
    return float(np.sqrt(np.square(answers.astype(np.float64) - y).mean()))


def transfer(
    distilled: Sequence[Array], baselines: Sequence[Array], teacher: Array | None, y: Array, classes: Classes
) -> Transfer:
    """Return the root mean squared error, which weights large errors more."""
    errors, baseline_errors = ([root_mean_square(answers, y) for answers in group] for group in (distilled, baselines))
    return Transfer(
        (
            Measure(
                name="root mean squared error",
                meaning="Root mean squared error: large errors count for more.",
                student=spread(errors, UNIT),
                alone=spread(baseline_errors, UNIT),
                teacher=None if teacher is None else host_quantity(root_mean_square(teacher, y), UNIT),
                in_short=True,
            ),
        )
    )


WORDS = TaskWords(
    name="regression",
    score="mean absolute error",
    unit=UNIT,
    difference=UNIT,
    higher_is_better=False,
    lowest=0.0,
    agreement="mean difference",
    agreement_unit=UNIT,
    agreement_with_teacher="mean difference from the teacher",
)
REGRESSION = Task(
    WORDS,
    Targets(
        one=one_target,
        form="a number",
        check=check_targets,
        name_classes=no_classes,
        strata=lambda y: 1,
        divide=plain,
        summarise=lambda y, classes: {"mean": float(y.mean()), "std": float(y.std())},
    ),
    Answers(
        kind="values",
        loss=f"{__name__}:SquaredError",
        label_loss=label_loss,
        shape=lambda classes, y: y.shape[1:],
        form=lambda shape: f"{shape[0]} number",
        read=read,
        from_archive=from_archive,
        archive_names=("values",),
        archive_form="values (N, 1)",
        doubt=lambda answers, gives: "",
        combine=None,
        decoding="value = {real}",
    ),
    Scoring(
        score=mean_absolute_error,
        agreement=mean_difference,
        describe_change=lambda before, after, of: f"answers to {of} move by {mean_difference(before, after):.3g}",
        chance=lambda classes, y: mean_absolute_error(np.full_like(y, np.median(y)), y).value,
        barely_better=1.1,
        transfer=transfer,
    ),
)
