"""The report's section on what the teacher passed on."""

from edgekd.results.quantity import Quantity, Record


class Spread(Record):
    """One quantity of several trainings that differ by their seed alone."""

    mean: Quantity
    """Its `error` is one standard error of the mean over the seeds; of one seed's accuracy, of the test samples."""

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


class AlongTheWay(Record):
    """An accuracy that the scheme took beside those of the finished student, of the first seed."""

    what: str
    """A window of the stream, an assistant, a shallow classifier, or the test set under attack."""

    accuracy: Quantity
    """Of the student; of the assistant or the classifier that `what` names."""

    accuracy_teacher: Quantity | None = None


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

    accuracy: Spread
    accuracy_alone: Spread | None = None

    gain: Quantity | None = None
    """Points over the student alone, paired by seed; error: one standard error of the mean over several seeds."""

    unknown: str = ""
    """Why nothing below is known, where the teacher can't be asked about the test set."""

    accuracy_teacher: Quantity | None = None

    agreement: Spread | None = None
    """Share of samples with the teacher's top-1 class."""

    agreement_alone: Spread | None = None

    calibration_bins: int
    """Of the expected calibration error: equally wide intervals of the top-1 probability."""

    calibration: Spread
    calibration_alone: Spread | None = None
    calibration_teacher: Quantity | None = None

    repeated: Spread | None = None
    """Share of the teacher's mistakes to which the student gives the same wrong answer."""

    repeated_alone: Spread | None = None

    by_chance: Quantity | None = None
    """The same for a student that gives its answers to each class's samples in any order."""

    consistency: Spread | None = None
    """Error consistency with the teacher: kappa of being right and wrong on the same samples, 0 by chance."""

    consistency_alone: Spread | None = None

    along_the_way: tuple[AlongTheWay, ...] = ()
    """In the order in which the scheme took them; most schemes take none."""

    layers: tuple[LayerSimilarity, ...] = ()

    layers_unknown: str = ""
    """Why no layers were compared."""

    classes: tuple[ClassTransfer, ...] = ()
