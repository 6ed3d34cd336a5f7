"""Measures what classifiers took over from their teacher, over one or several seeds: overall and class by class."""

from collections.abc import Sequence

import numpy as np

from edgekd.results import FEW_MISTAKES, ClassTransfer, Measure, Quantity
from edgekd.tasks.classification import measures
from edgekd.tasks.spread import host_quantity, spread
from edgekd.tasks.task import Array, Classes, Transfer

SIGNIFICANT = 2.0  # standard errors beyond which a class counts as inherited


def transfer(
    distilled: Sequence[Array], alone: Sequence[Array], teacher: Array | None, y: Array, classes: Classes
) -> Transfer:
    """Measure calibration, repeated mistakes and error consistency, and the transfer of each class with test samples.

    Args:
        distilled, alone: logits (N, classes) on the test set of the students trained with the teacher and without it,
            in the order of the seeds; `alone` may be empty.
        teacher: its logits, (N, classes); None where it can't be run on the test set.
    """
    if teacher is None:
        return Transfer((_calibration(distilled, alone, None, y), REPEATED, CONSISTENCY))
    rows = (
        _calibration(distilled, alone, teacher, y),
        _repeated(distilled, alone, teacher, y),
        _consistency(distilled, alone, teacher, y),
    )
    return Transfer(
        rows, tuple(_class_transfer(label, classes, distilled, alone, teacher, y) for label in np.unique(y).tolist())
    )


REPEATED = Measure(
    name="teacher's mistakes repeated",
    meaning="Repeated: the student gives the teacher's wrong answer too; by chance: it would, were its answers in any"
    " order within each class.",
)
CONSISTENCY = Measure(
    name="error consistency with the teacher",
    remark="kappa",
    meaning="Error consistency (kappa): right and wrong on the same samples as the teacher, 0 by chance, 1 always.",
)


def _calibration(distilled: Sequence[Array], alone: Sequence[Array], teacher: Array | None, y: Array) -> Measure:
    ours, others = ([measures.calibration_error(logits, y) for logits in group] for group in (distilled, alone))
    return Measure(
        name="calibration error",
        remark=f"{measures.BINS} bins",
        meaning="Calibration error: expected, over equally wide bins of confidence.",
        student=spread(ours, "%"),
        alone=spread(others, "%"),
        teacher=None if teacher is None else host_quantity(measures.calibration_error(teacher, y), "%"),
        in_short=True,
    )


def _repeated(distilled: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array) -> Measure:
    counts = ([measures.repeated_mistakes(logits, teacher, y) for logits in group] for group in (distilled, alone))
    ours, others = ([100 * count.same / count.mistakes for count in group if count.mistakes] for group in counts)
    chance = _by_chance(distilled, teacher, y)
    return REPEATED.model_copy(update={"student": spread(ours, "%"), "alone": spread(others, "%"), "by_chance": chance})


def _consistency(distilled: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array) -> Measure:
    teacher_correct = _is_correct(teacher, y)
    kappas = (
        [measures.error_consistency(_is_correct(logits, y), teacher_correct) for logits in group]
        for group in (distilled, alone)
    )
    ours, others = (spread([consistency.kappa for consistency in group if consistency], "kappa") for group in kappas)
    return CONSISTENCY.model_copy(update={"student": ours, "alone": others})


def _is_correct(logits: Array, y: Array) -> Array:
    right: Array = logits.argmax(axis=1) == y
    return right


def _by_chance(distilled: Sequence[Array], teacher: Array, y: Array) -> Quantity:
    counts = [measures.repeated_mistakes(logits, teacher, y) for logits in distilled]
    mistakes = counts[0].mistakes
    if not mistakes:
        return host_quantity(None, "%")
    expected, deviation = (float(np.mean([getattr(count, of) for count in counts])) for of in ("expected", "deviation"))
    return host_quantity(
        100 * expected / mistakes, "%", "answers in any order within a class", 100 * deviation / mistakes
    )


def _class_transfer(
    label: int, classes: Classes, distilled: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array
) -> ClassTransfer:
    of_class = y == label
    labels, theirs = y[of_class], teacher[of_class]
    ours, others = ([logits[of_class] for logits in group] for group in (distilled, alone))
    wrong = theirs.argmax(axis=1)[theirs.argmax(axis=1) != label]

    def mean(group: Sequence[Array]) -> float | None:
        shares = [measures.share(measures.agreement(logits, theirs)) or 0.0 for logits in group]
        return float(np.mean(shares)) if group else None

    def repeats(group: Sequence[Array]) -> float | None:
        counts = [measures.repeated_mistakes(logits, theirs, labels).same for logits in group]
        return 100 * float(np.mean(counts)) / len(wrong) if len(wrong) and group else None

    kappas = [measures.error_consistency(_is_correct(logits, labels), _is_correct(theirs, labels)) for logits in ours]
    defined = [consistency for consistency in kappas if consistency]
    kappa = host_quantity(None, "kappa")
    if defined:
        error = float(np.mean([consistency.error for consistency in defined]))
        kappa = host_quantity(
            float(np.mean([consistency.kappa for consistency in defined])), "kappa", "test samples of the class", error
        )
    chance = _by_chance(ours, theirs, labels)
    return ClassTransfer(
        name=classes[label],
        samples=len(labels),
        agreement=host_quantity(mean(ours), "%"),
        agreement_alone=host_quantity(mean(others), "%") if others else None,
        mistakes=len(wrong),
        taken_for=classes[int(np.bincount(wrong).argmax())] if len(wrong) else "",
        repeated=host_quantity(repeats(ours), "%"),
        repeated_alone=host_quantity(repeats(others), "%") if others else None,
        by_chance=chance,
        consistency=kappa,
        inherited=_is_inherited(
            len(wrong), repeats(ours), chance, measures.excess_repeats(ours, others, theirs, labels)
        ),
    )


def _is_inherited(mistakes: int, share: float | None, chance: Quantity, excess: tuple[float, float] | None) -> bool:
    if mistakes < FEW_MISTAKES or share is None:
        return False
    if excess is not None:
        return excess[0] > SIGNIFICANT * excess[1]
    return share - (chance.value or 0.0) > SIGNIFICANT * (chance.error or 0.0)
