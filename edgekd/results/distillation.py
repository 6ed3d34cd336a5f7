"""The report's section on what the teacher passed on."""

from edgekd.results.quantity import Quantity, Record


class Spread(Record):
    """One quantity of several trainings that differ by their seed alone."""

    mean: Quantity
    """Its `error` is one standard error of the mean over the seeds; of one seed's score, over the test samples."""

    each: tuple[float, ...]
    """In the order of `seeds`; without those in which it is not defined (no mistakes, no consistency of mistakes)."""


class LayerSimilarity(Record):
    """How alike a layer of the student and one of the teacher represent the test samples."""

    student: str
    teacher: str

    distilled: Spread
    """Debiased linear CKA: 1 where they differ by a rotation and a scale, 0 on average where they are unrelated."""

    alone: Spread | None = None
    """The same layer of the student that had no teacher."""


FEW_MISTAKES = 5  # of a teacher in a class: from fewer nothing is said to be inherited


class ClassTransfer(Record):
    """What was passed on about one class, over the test samples whose label it is; means over the seeds."""

    name: str
    samples: int

    agreement: Quantity
    """Share of these samples with the teacher's top-1 class."""

    agreement_alone: Quantity | None = None

    mistakes: int
    """That the teacher makes here."""

    taken_for: str = ""
    """The wrong class that it gives most often."""

    repeated: Quantity
    """Share of the teacher's mistakes to which the student gives the same wrong answer."""

    repeated_alone: Quantity | None = None

    by_chance: Quantity
    """The same for a student that gives its answers to the class's samples in any order; error: one standard
    deviation."""

    consistency: Quantity
    """Error consistency with the teacher: kappa of being right and wrong on the same samples, 0 by chance."""

    inherited: bool
    """The student repeats more of the teacher's mistakes than the student alone (else than chance), by over two
    standard errors, in a class with at least five of them (FEW_MISTAKES)."""


class Measure(Record):
    """Something that the task measures of the answers beside its score: a row of the comparison."""

    name: str
    """Within a sentence: "calibration error"."""

    remark: str = ""
    """What stands in brackets behind the name: "15 bins"."""

    meaning: str
    """A sentence below the table."""

    student: Spread | None = None
    """None where it can't be told, and then there is no row."""

    alone: Spread | None = None
    """Of the same student without the teacher."""

    teacher: Quantity | None = None
    """None where it compares with the teacher, or the teacher can't be asked."""

    by_chance: Quantity | None = None
    """What chance alone would give the student."""

    in_short: bool = False
    """It stands in the line on the teacher at the end of a build."""


class AlongTheWay(Record):
    """A score that the scheme took beside those of the finished student, of the first seed."""

    what: str
    """A window of the stream, an assistant, a shallow classifier, or the test set under attack."""

    score: Quantity
    """Of the student; of the assistant or the classifier that `what` names."""

    score_teacher: Quantity | None = None


class Distillation(Record):
    """What a student took over from its teacher, against the same student trained on the labels alone."""

    scheme: str
    losses: tuple[str, ...]

    epochs: int
    """Of the student under the teacher. The teacher's own training is not counted."""

    baseline_epochs: int | None
    """Of the student alone; None where none was trained."""

    seeds: tuple[int, ...]
    """Of the trainings. The first is the config's: its student is shipped, whatever the others reach."""

    samples: int
    """Of the test set, from which all figures here are."""

    score: Spread
    score_alone: Spread | None = None

    gain: Quantity | None = None
    """By how much the score is better than that of the student alone, paired by seed; error: one standard error of the
    mean over several seeds."""

    unknown: str = ""
    """Why nothing is known that needs the teacher's answers, where it can't be asked about the test set."""

    score_teacher: Quantity | None = None

    agreement: Spread | None = None
    """With the teacher, as the task has it: of a classifier the share of samples with the same top-1 class."""

    agreement_alone: Spread | None = None

    measures: tuple[Measure, ...] = ()
    """What else the task measures: of a classifier calibration, mistakes repeated, and their consistency."""

    along_the_way: tuple[AlongTheWay, ...] = ()
    """In the order in which the scheme took them; most schemes take none."""

    layers: tuple[LayerSimilarity, ...] = ()

    layers_unknown: str = ""
    """Why no layers were compared."""

    classes: tuple[ClassTransfer, ...] = ()
    """In the data's order; none in a task without classes, or where the teacher can't be asked."""
