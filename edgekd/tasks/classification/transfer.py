"""What a classifier took over from its teacher, over one or several seeds: in all, and class by class."""

from collections.abc import Sequence

import numpy as np

from edgekd.results import FEW_MISTAKES, ClassTransfer, Measure, Quantity
from edgekd.tasks.classification import measures
from edgekd.tasks.spread import host_quantity, spread
from edgekd.tasks.task import Array, Classes, Transfer

CLEARLY = 2.0  # standard errors


def transfer(
    taught: Sequence[Array], alone: Sequence[Array], teacher: Array | None, y: Array, classes: Classes
) -> Transfer:
    """Calibration, mistakes repeated and their consistency, then each class that has test samples.

    Args:
        taught, alone: logits of the students on the test set, (N, classes), with the teacher and without, in the order
            of the seeds; `alone` may be empty.
        teacher: its logits, (N, classes); None where it can't be asked.
    """
    if teacher is None:
        return Transfer((_calibration(taught, alone, None, y), REPEATED, CONSISTENCY))
    rows = (
        _calibration(taught, alone, teacher, y),
        _repeated(taught, alone, teacher, y),
        _consistency(taught, alone, teacher, y),
    )
    return Transfer(
        rows, tuple(_of_class(label, classes, taught, alone, teacher, y) for label in np.unique(y).tolist())
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


def _calibration(taught: Sequence[Array], alone: Sequence[Array], teacher: Array | None, y: Array) -> Measure:
    ours, others = ([measures.calibration_error(logits, y) for logits in group] for group in (taught, alone))
    return Measure(
        name="calibration error",
        remark=f"{measures.BINS} bins",
        meaning="Calibration error: expected, over equally wide bins of confidence.",
        student=spread(ours, "%"),
        alone=spread(others, "%"),
        teacher=None if teacher is None else host_quantity(measures.calibration_error(teacher, y), "%"),
        in_short=True,
    )


def _repeated(taught: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array) -> Measure:
    counts = ([measures.repeated(logits, teacher, y) for logits in group] for group in (taught, alone))
    ours, others = ([100 * each.same / each.mistakes for each in group if each.mistakes] for group in counts)
    chance = _by_chance(taught, teacher, y)
    return REPEATED.model_copy(update={"student": spread(ours, "%"), "alone": spread(others, "%"), "by_chance": chance})


def _consistency(taught: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array) -> Measure:
    known = _right(teacher, y)
    kappas = ([measures.error_consistency(_right(logits, y), known) for logits in group] for group in (taught, alone))
    ours, others = (spread([each.kappa for each in group if each], "kappa") for group in kappas)
    return CONSISTENCY.model_copy(update={"student": ours, "alone": others})


def _right(logits: Array, y: Array) -> Array:
    right: Array = logits.argmax(axis=1) == y
    return right


def _by_chance(taught: Sequence[Array], teacher: Array, y: Array) -> Quantity:
    counts = [measures.repeated(logits, teacher, y) for logits in taught]
    mistakes = counts[0].mistakes
    if not mistakes:
        return host_quantity(None, "%")
    expected, deviation = (float(np.mean([getattr(each, of) for each in counts])) for of in ("expected", "deviation"))
    return host_quantity(
        100 * expected / mistakes, "%", "answers in any order within a class", 100 * deviation / mistakes
    )


def _of_class(
    label: int, classes: Classes, taught: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array
) -> ClassTransfer:
    here = y == label
    labels, theirs = y[here], teacher[here]
    ours, others = ([logits[here] for logits in group] for group in (taught, alone))
    wrong = theirs.argmax(axis=1)[theirs.argmax(axis=1) != label]

    def mean(group: Sequence[Array]) -> float | None:
        shares = [measures.share(measures.agreement(logits, theirs)) or 0.0 for logits in group]
        return float(np.mean(shares)) if group else None

    def repeats(group: Sequence[Array]) -> float | None:
        counts = [measures.repeated(logits, theirs, labels).same for logits in group]
        return 100 * float(np.mean(counts)) / len(wrong) if len(wrong) and group else None

    kappas = [measures.error_consistency(_right(logits, labels), _right(theirs, labels)) for logits in ours]
    known = [each for each in kappas if each]
    kappa = host_quantity(None, "kappa")
    if known:
        error = float(np.mean([each.error for each in known]))
        kappa = host_quantity(
            float(np.mean([each.kappa for each in known])), "kappa", "test samples of the class", error
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
        inherited=_inherited(len(wrong), repeats(ours), chance, measures.beyond(ours, others, theirs, labels)),
    )


def _inherited(mistakes: int, share: float | None, chance: Quantity, more: tuple[float, float] | None) -> bool:
    if mistakes < FEW_MISTAKES or share is None:
        return False
    if more is not None:
        return more[0] > CLEARLY * more[1]
    return share - (chance.value or 0.0) > CLEARLY * (chance.error or 0.0)
