"""A task as a value: what its targets are, what a network answers, and how answers are learnt from and judged."""

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
"""How several teachers answer as one: a value of `distill.combine`."""
WAYS: tuple[Combine, ...] = ("mean", "confidence", "validation", "geometric")


class Score(NamedTuple):
    """How good the answers to some samples are.

    Attributes:
        value: in the task's unit; NaN of no samples.
        error: one standard error of it, over the samples.
    """

    value: float
    error: float


class AnswerArray(NamedTuple):
    """Answers that were found in a file.

    Attributes:
        numbers: (N, *answer shape), not yet checked.
        gives: what they are: a value of `teacher.gives`.
        name: of their array, for errors.
    """

    numbers: Array
    gives: str
    name: str


class Transfer(NamedTuple):
    """What students took over from their teacher, beside score and agreement.

    Attributes:
        measures: rows of the report's comparison.
        classes: class by class, in a task that has classes.
    """

    measures: tuple[Measure, ...]
    classes: tuple[ClassTransfer, ...] = ()


class LabelLoss(Protocol):
    """The loss of answers (N, *answer shape) against targets alone, a scalar."""

    def __call__(self, answers: "Tensor", targets: "Tensor", reduction: str = "mean") -> "Tensor":
        """`reduction` is "mean" or "sum", over the samples."""
        ...


@dataclass(frozen=True)
class Targets:
    """What a data set's targets are; `y` is an array of them, (N, ...), as `check` leaves it.

    Attributes:
        one: a target as a torch Dataset gives it -> the same as an element of `y`; None where it is no target.
        form: what it should be, for a remedy.
        check: (targets as the data set has them, name of the part) -> y; DataError where they are none.
        name_classes: (part -> y, the names that the data set gives, or None) -> Classes; DataError where they disagree.
        strata: y -> of how many kinds of targets a division leaves at least one sample each.
        divide: (y, count, seed) -> positions (left, taken), in order, of a division that takes `count` by chance.
        summarise: (y, Classes) -> what the targets are like, in JSON's types.
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
    """What a network gives: N samples are answered by (N, *answer shape) numbers, float32.

    Attributes:
        kind: of the numbers, "logits": losses and schemes that compare another kind do not fit the task.
        loss: of the catalog, or "module:attribute": compares a student's answers with its teacher's.
        label_loss: of answers against targets alone.
        shape: (Classes, y) -> the shape of one answer.
        form: that shape -> what it is in words, "10 classes".
        read: (numbers from outside torch, `teacher.gives`, who gave them) -> answers; ModelError where they are none.
            Shape and finiteness are checked before.
        from_archive: (arrays of an .npz, prefix of their names, answer shape, the file's name) -> the answers among
            them; None where no name begins so.
        archive_names: what such arrays are called; `archive_form` has their shapes too, for a remedy.
        doubt: (answers of a teacher from outside, `teacher.gives`) -> what looks wrong about them, or "".
        combine: (answers of all teachers, (teachers, N, *answer shape), how, each one's score on validation) -> those
            of all as one; None where several teachers can't answer as one.
        decoding: Python that goes on from `answer` in the line of usage of a written file; `{real}` stands for the
            answer as real numbers, and `labels` for the names of the classes.
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
    """How answers are judged; they may be of any float type.

    Attributes:
        score: (answers, y) -> how good they are.
        agreement: (answers, other answers to the same samples) -> how alike they are, in `agreement_unit`.
        describe_change: (answers before a change of the network, after it, of which samples) -> what it did, in words.
        chance: (Classes, y) -> about the score of one answer to everything, which looks at no input.
        barely_better: so many times as good as chance; a teacher whose score is not has next to nothing to teach.
        transfer: (each student's answers, each one's without its teacher, the teacher's or None, y, Classes) -> what
            was passed on; what can't be known without the teacher is left empty.
    """

    score: Callable[[Array, Array], Score]
    agreement: Callable[[Array, Array], float]
    describe_change: Callable[[Array, Array, str], str]
    chance: Callable[[Classes, Array], float]
    barely_better: float
    transfer: Callable[[Sequence[Array], Sequence[Array], Array | None, Array, Classes], Transfer]


@dataclass(frozen=True)
class Task:
    """What the stages ask where they would have to know what is learnt."""

    words: TaskWords
    targets: Targets
    answers: Answers
    scoring: Scoring

    @property
    def name(self) -> str:
        """As a config names it."""
        return self.words.name

    def called(self, name: str) -> "Task":
        """The same task under the name by which a config knows it."""
        return replace(self, words=self.words.model_copy(update={"name": name}))

    def quantity(self, score: Score, source: str) -> Quantity:
        """A score as the report has it, found by this machine on what `source` says."""
        return host_quantity(score.value, self.words.unit, source, score.error)

    def require(self, kind: str, who: str, remedy: str) -> None:
        """ConfigError where `who` is made for another kind of answers than the task's."""
        if kind != self.answers.kind:
            raise ConfigError(
                f"{who} is made for {kind}, and the answers of task {self.name!r} are {self.answers.kind}",
                remedy,
            )
