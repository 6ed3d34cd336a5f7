"""Gives the report the records of its section on the knowledge transfer from teacher to student."""

from edgekd.results.quantity import Quantity, Record


class Spread(Record):
    """A quantity over several trainings that differ in their seed alone."""

    mean: Quantity
    """The mean. Its `error` is the standard error over the seeds; for the score of one seed, over the test samples."""

    each: tuple[float, ...]
    """The values in the order of `seeds`, without seeds at which it is undefined (no mistakes have no consistency)."""


class LayerSimilarity(Record):
    """The similarity of the representations of the test samples in a layer of the student and one of the teacher."""

    student: str
    teacher: str

    distilled: Spread
    """Debiased linear CKA: 1 where they differ by a rotation and a scale, 0 on average where they are unrelated."""

    alone: Spread | None = None
    """The similarity for the same student trained without the teacher."""


FEW_MISTAKES = 5  # with fewer mistakes of the teacher, a class is never reported as inherited


class ClassTransfer(Record):
    """The knowledge transfer for one class, over the test samples with this label; means over the seeds."""

    name: str
    samples: int

    agreement: Quantity
    """The share of these samples with the teacher's top-1 class."""

    agreement_alone: Quantity | None = None

    mistakes: int
    """The number of the teacher's mistakes in this class."""

    taken_for: str = ""
    """The wrong class that the teacher predicts most often."""

    repeated: Quantity
    """The share of the teacher's mistakes for which the student predicts the same wrong class."""

    repeated_alone: Quantity | None = None

    by_chance: Quantity
    """The same share if the student's predictions are permuted within the class; error: one standard deviation."""

    consistency: Quantity
    """The error consistency with the teacher: kappa of being right and wrong on the same samples, 0 by chance."""

    inherited: bool
    """Whether the student repeats more of the teacher's mistakes than the student alone (or else than chance) by
    more than two standard errors, in a class with at least five of them (FEW_MISTAKES)."""


class Measure(Record):
    """A measure of the task besides its score: a row of the comparison of student and teacher."""

    name: str
    """The name within a sentence: "calibration error"."""

    remark: str = ""
    """A remark in brackets after the name: "15 bins"."""

    meaning: str
    """The sentence below the table that explains it."""

    student: Spread | None = None
    """The value of the student; None if it is not known, and then there is no row."""

    alone: Spread | None = None
    """The value of the same student trained without the teacher."""

    teacher: Quantity | None = None
    """The value of the teacher; None if the measure compares with the teacher, or its outputs are not known."""

    by_chance: Quantity | None = None
    """The value that the student would reach by chance."""

    in_short: bool = False
    """Whether the line on the teacher at the end of a build shows it."""


class AlongTheWay(Record):
    """A score that the scheme measured during the training of the first seed."""

    what: str
    """What was scored: a window of the stream, an assistant, a shallow classifier, or the test set under attack."""

    score: Quantity
    """The score of the student, or of the assistant or classifier that `what` names."""

    score_teacher: Quantity | None = None


class Distillation(Record):
    """The knowledge transfer to a student, compared with the same student trained on the labels alone."""

    scheme: str
    losses: tuple[str, ...]

    epochs: int
    """The epochs of the student with the teacher. The teacher's own training is not counted."""

    baseline_epochs: int | None
    """The epochs of the student alone; None if none was trained."""

    seeds: tuple[int, ...]
    """The seeds of the trainings. The first is the config's: its student is shipped, whatever the others score."""

    samples: int
    """The number of test samples, on which all quantities here are measured."""

    score: Spread
    score_alone: Spread | None = None

    gain: Quantity | None = None
    """The gain in score over the student alone, paired by seed; error: the standard error of the mean over several
    seeds."""

    unknown: str = ""
    """The reason why quantities that need the teacher's outputs on the test set are not known, if they are not."""

    score_teacher: Quantity | None = None

    agreement: Spread | None = None
    """The agreement with the teacher by the task's definition: for a classifier the share with the same top-1 class."""

    agreement_alone: Spread | None = None

    measures: tuple[Measure, ...] = ()
    """The task's other measures: for a classifier calibration, repeated mistakes, and error consistency."""

    along_the_way: tuple[AlongTheWay, ...] = ()
    """The scores in the order in which the scheme measured them; most schemes measure none."""

    layers: tuple[LayerSimilarity, ...] = ()

    layers_unknown: str = ""
    """The reason why no layers were compared, if none were."""

    classes: tuple[ClassTransfer, ...] = ()
    """The classes in the data's order; empty in a task without classes, or if the teacher's outputs are not known."""
