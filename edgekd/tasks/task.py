"""A task as a value: its targets, a network's answers, the loss on them, and their scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from edgekd.errors import ConfigError
from edgekd.results import ClassTransfer, Measure, Quantity, TaskWords
from edgekd.tasks.spread import host_quantity

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray
Classes = tuple[str, ...]
"""The names of a data set's classes, in the order of their labels; () in a task without classes."""
Combine = Literal["mean", "confidence", "validation", "geometric"]
"""How the answers of several teachers are combined: a value of `distill.combine`."""
WAYS: tuple[Combine, ...] = ("mean", "confidence", "validation", "geometric")


class Score(NamedTuple):
    """The score of the answers to some samples.

    Attributes:
        value: the score in the task's unit; NaN without samples.
        error: its standard error over the samples.
    """

    value: float
    error: float


class AnswerArray(NamedTuple):
    """Answers that were read from a file.

    Attributes:
        numbers: the array (N, *answer shape), not yet checked.
        gives: the kind of the numbers: a value of `teacher.gives`.
        name: the name of their array, for errors.
    """

    numbers: Array
    gives: str
    name: str


class Transfer(NamedTuple):
    """What was transferred from teacher to students, beside score and agreement.

    Attributes:
        measures: rows of the report's comparison.
        classes: class by class, in a task that has classes.
    """

    measures: tuple[Measure, ...]
    classes: tuple[ClassTransfer, ...] = ()


class LabelLoss(Protocol):
    """A loss of answers (N, *answer shape) against targets alone, a scalar."""

    def __call__(self, answers: "Tensor", targets: "Tensor", reduction: str = "mean") -> "Tensor":
        """Return the loss, whose `reduction` over the samples is "mean" or "sum"."""
        ...


@dataclass(frozen=True)
class Targets:
    """The targets of a data set; `y` is the array (N, ...) that `check` returns.

    Attributes:
        one: target of a sample of a torch Dataset -> the element of `y`; None where it is no target of the task.
        form: what a target should look like, for remedies.
        check: (targets as the data set has them, name of the part) -> y; DataError where they are no targets.
        name_classes: (part -> y, the data set's names or None) -> Classes; DataError where they disagree.
        strata: y -> number of strata of which a division leaves at least one sample each.
        divide: (y, count, seed) -> positions (not drawn, drawn), in order, of a division that draws `count` at random.
        summarise: (y, Classes) -> summary of the targets, in JSON's types.
    """

    one: Callable[[Array], Array | None]
    form: str
    check: Callable[[Array, str], Array]
    name_classes: Callable[[Mapping[str, Array], Classes | None], Classes]
    strata: Callable[[Array], int]
    divide: Callable[[Array, int, int], tuple[Array, Array]]
    summarise: Callable[[Array, Classes], Any]


@dataclass(frozen=True)
class Answers:
    """A network's answers: (N, *answer shape) numbers, float32, to N samples.

    Attributes:
        kind: the kind of the numbers, such as "logits"; losses and schemes for another kind do not fit the task.
        loss: the loss that compares a student's answers with its teacher's: of the catalog, or "module:attribute".
        label_loss: the loss of answers against targets alone.
        shape: (Classes, y) -> the shape of one answer.
        form: the shape of one answer -> its description, "10 classes".
        read: (outputs of an external teacher, `teacher.gives`, its name for errors) -> answers; ModelError where they
            can't be converted. Shape and finiteness are checked before.
        from_archive: (arrays of an .npz, prefix of their names, answer shape, the file's name) -> the answers among
            them; None where no array has such a name.
        archive_names: the names of such arrays; `archive_form` has their shapes too, for remedies.
        doubt: (answers of an external teacher, `teacher.gives`) -> a remark on what looks wrong, or "".
        combine: (answers of all teachers, (teachers, N, *answer shape), way, each teacher's validation score) -> the
            combined answers, (N, *answer shape); None where the task can't combine answers.
        decoding: Python that follows `answer` in the line of usage of an exported file; `{real}` stands for the answer
            as real numbers, and `labels` for the names of the classes.
    """

    kind: str
    loss: str
    label_loss: LabelLoss
    shape: Callable[[Classes, Array], tuple[int, ...]]
    form: Callable[[tuple[int, ...]], str]
    read: Callable[[Array, str, str], Array]
    from_archive: Callable[[Mapping[str, Array], str, tuple[int, ...], str], AnswerArray | None]
    archive_names: tuple[str, ...]
    archive_form: str
    doubt: Callable[[Array, str], str]
    combine: "Callable[[Tensor, Combine, Sequence[float | None]], Tensor] | None"
    decoding: str


@dataclass(frozen=True)
class Scoring:
    """The scores of answers, which may be of any float type.

    Attributes:
        score: (answers, y) -> their score.
        agreement: (answers, other answers to the same samples) -> their agreement, in `agreement_unit`.
        describe_change: (answers before a change of the network, after it, which samples) -> a sentence on the change.
        chance: (Classes, y) -> approximate score of answers that do not depend on the input.
        barely_better: factor by which a teacher's score must be better than chance to be worth distilling.
        transfer: (answers of each distilled student, of each student trained alone, the teacher's or None, y, Classes)
            -> what was transferred; measures that need the teacher are empty without it.
    """

    score: Callable[[Array, Array], Score]
    agreement: Callable[[Array, Array], float]
    describe_change: Callable[[Array, Array, str], str]
    chance: Callable[[Classes, Array], float]
    barely_better: float
    transfer: Callable[[Sequence[Array], Sequence[Array], Array | None, Array, Classes], Transfer]


@dataclass(frozen=True)
class Task:
    """Everything about what is learnt that the stages need to know."""

    words: TaskWords
    targets: Targets
    answers: Answers
    scoring: Scoring

    @property
    def name(self) -> str:
        """The name by which a config knows the task."""
        return self.words.name

    def with_name(self, name: str) -> "Task":
        """Return the same task under the name by which a config knows it."""
        return replace(self, words=self.words.model_copy(update={"name": name}))

    def quantity(self, score: Score, source: str) -> Quantity:
        """Return a score as the report's figure, measured on this machine on the samples that `source` describes."""
        return host_quantity(score.value, self.words.unit, source, score.error)

    def require(self, kind: str, who: str, remedy: str) -> None:
        """Raise ConfigError where `who` is made for another kind of answers than the task's."""
        if kind != self.answers.kind:
            raise ConfigError(
                f"{who} is made for {kind}, and the answers of task {self.name!r} are {self.answers.kind}",
                remedy,
            )
