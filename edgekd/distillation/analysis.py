"""What was passed on from teacher to student, over one or several seeds, as the report's record of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd.data.batches import batches
from edgekd.data.splits import Split, Splits
from edgekd.distillation.cka import LinearCKA, gram
from edgekd.errors import ConfigError
from edgekd.nn.layers import Networks, Pair, survey
from edgekd.nn.outputs import answer
from edgekd.results import FEW_MISTAKES, ClassTransfer, Distillation, LayerSimilarity, Quantity, Spread, accuracy_error
from edgekd.tasks.classification import measures
from edgekd.training.evaluate import channels_last

Array = np.ndarray

COMPARED = 1_024  # test samples on which layers are compared, evenly spread over the set
BATCH, FEWEST = 256, 32  # of them at once: as many as the widest layer allows
NUMBERS = 2**24  # that a layer may hold for a batch: 64 MB
CLEARLY = 2.0  # standard errors


@dataclass(frozen=True)
class TrainedStudents:
    """Students that differ by their seed alone.

    Attributes:
        students: trained.
        answers: of each on the test set, logits (N, classes).
    """

    students: Sequence[nn.Module] = ()
    answers: Sequence[Array] = ()


def analyse(
    splits: Splits, taught: TrainedStudents, alone: TrainedStudents, teacher: Array | None, facts: Mapping[str, Any]
) -> Distillation:
    """Everything that answers tell; layers are compared by `similarities`.

    Args:
        taught, alone: with the teacher and without, in the order of the seeds; `alone` may be empty.
        teacher: its logits on the test set, (N, classes); None where it can't be asked.
        facts: what the trainings were: scheme, losses, epochs, baseline_epochs and seeds.
    """
    y = np.asarray(splits.test.y)
    both = {"": taught.answers, "_alone": alone.answers}
    spreads: dict[str, Spread | None] = {}
    for name, group in both.items():
        spreads[f"accuracy{name}"] = spread([_percent(_right(found, y)) for found in group], "%", samples=len(y))
        spreads[f"calibration{name}"] = spread([measures.calibration_error(found, y) for found in group], "%")
    found: dict[str, Any] = {
        **facts,
        **spreads,
        "samples": len(y),
        "gain": _gain(taught.answers, alone.answers, y),
        "calibration_bins": measures.BINS,
    }
    if teacher is None:
        return Distillation(**found, unknown="the teacher can't be asked about the test set: only stored answers exist")
    for name, group in both.items():
        same = [_percent(measures.agreement(answers, teacher)) for answers in group]
        mistakes = [measures.repeated(answers, teacher, y) for answers in group]
        kappas = [measures.error_consistency(_right(answers, y), _right(teacher, y)) for answers in group]
        found[f"agreement{name}"] = spread(same, "%")
        found[f"repeated{name}"] = spread([100 * each.same / each.mistakes for each in mistakes if each.mistakes], "%")
        found[f"consistency{name}"] = spread([each.kappa for each in kappas if each], "kappa")
    return Distillation(
        **found,
        accuracy_teacher=_figure(_percent(_right(teacher, y)), "%"),
        calibration_teacher=_figure(measures.calibration_error(teacher, y), "%"),
        by_chance=_by_chance(taught.answers, teacher, y),
        classes=tuple(
            _of_class(label, splits.classes, taught.answers, alone.answers, teacher, y)
            for label in np.unique(y).tolist()
        ),
    )


def similarities(
    splits: Splits, taught: TrainedStudents, alone: TrainedStudents, teacher: nn.Module | None, chosen: Sequence[Pair]
) -> tuple[tuple[LayerSimilarity, ...], str]:
    """(CKA of pairs of layers, "") or ((), why there are none).

    Args:
        teacher: None where it is no torch module.
        chosen: pairs that the losses compare; where there are none, layers are matched by resolution or depth.
    """
    if teacher is None:
        return (), "the teacher is no torch module: its layers can't be seen"
    ours, theirs = survey(taught.students[0], splits.example), survey(teacher, splits.example)
    networks = Networks(ours, theirs, classes=len(splits.classes), samples=len(splits.train))
    seen = {layer.name for layer in ours}, {layer.name for layer in theirs}
    pairs = tuple(pair for pair in chosen if pair.student.name in seen[0] and pair.teacher.name in seen[1])
    try:
        pairs = pairs or networks.pairs(None, "CKA")
    except ConfigError as error:
        return (), error.what
    values = _cka(splits, [*taught.students, *alone.students], teacher, pairs)
    count = len(taught.students)
    rows = []
    for pair, each in zip(pairs, values, strict=True):
        found, alone_too = (spread([v for v in part if v is not None], "CKA") for part in (each[:count], each[count:]))
        names = {"student": pair.student.name, "teacher": pair.teacher.name}
        if found is not None:
            rows.append(LayerSimilarity(**names, distilled=found, alone=alone_too))
    return tuple(rows), "" if rows else "the layers answer the same to every sample, or the test set is too small"


def spread(values: Sequence[float], unit: str, samples: int = 0) -> Spread | None:
    """Mean and standard error over the seeds; of one accuracy alone, that of its test samples. None of nothing."""
    if not values:
        return None
    mean, count = float(np.mean(values)), len(values)
    error = float(np.std(values, ddof=1) / math.sqrt(count)) if count > 1 else None
    if error is None and samples:
        error = accuracy_error(mean, samples)
    of = f"mean of {count} seeds" if count > 1 else "one seed"
    return Spread(mean=_figure(mean, unit, of, error), each=tuple(float(value) for value in values))


def _figure(value: float | None, unit: str, source: str = "test set", error: float | None = None) -> Quantity:
    if value is None:
        return Quantity(unit=unit, remedy="there are too few samples or mistakes to tell: a larger test set")
    return Quantity(value=value, unit=unit, origin="measured-host", source=source, error=error)


def _right(answers: Array, y: Array) -> Array:
    right: Array = answers.argmax(axis=1) == y
    return right


def _percent(true: Array) -> float:
    return measures.share(true) or 0.0


def _gain(taught: Sequence[Array], alone: Sequence[Array], y: Array) -> Quantity | None:
    """Paired by seed: both students of a pair start from the same weights and see the same batches."""
    if not alone:
        return None
    found = spread(
        [_percent(_right(a, y)) - _percent(_right(b, y)) for a, b in zip(taught, alone, strict=True)], "points"
    )
    return found.mean if found else None


def _by_chance(taught: Sequence[Array], teacher: Array, y: Array) -> Quantity:
    found = [measures.repeated(answers, teacher, y) for answers in taught]
    mistakes = found[0].mistakes
    if not mistakes:
        return _figure(None, "%")
    expected, deviation = (float(np.mean([getattr(each, of) for each in found])) for of in ("expected", "deviation"))
    return _figure(100 * expected / mistakes, "%", "answers in any order within a class", 100 * deviation / mistakes)


def _of_class(
    label: int, classes: Sequence[str], taught: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array
) -> ClassTransfer:
    here = y == label
    labels, theirs = y[here], teacher[here]
    ours, others = ([answers[here] for answers in group] for group in (taught, alone))
    wrong = theirs.argmax(axis=1)[theirs.argmax(axis=1) != label]

    def mean(group: Sequence[Array]) -> float | None:
        return float(np.mean([_percent(measures.agreement(answers, theirs)) for answers in group])) if group else None

    def repeats(group: Sequence[Array]) -> float | None:
        counts = [measures.repeated(answers, theirs, labels).same for answers in group]
        return 100 * float(np.mean(counts)) / len(wrong) if len(wrong) and group else None

    kappas = [measures.error_consistency(_right(a, labels), _right(theirs, labels)) for a in ours]
    known = [each for each in kappas if each]
    kappa = _figure(None, "kappa")
    if known:
        error = float(np.mean([each.error for each in known]))
        kappa = _figure(float(np.mean([each.kappa for each in known])), "kappa", "test samples of the class", error)
    chance = _by_chance(ours, theirs, labels)
    return ClassTransfer(
        name=classes[label],
        samples=len(labels),
        agreement=_figure(mean(ours), "%"),
        agreement_alone=_figure(mean(others), "%") if others else None,
        mistakes=len(wrong),
        taken_for=classes[int(np.bincount(wrong).argmax())] if len(wrong) else "",
        repeated=_figure(repeats(ours), "%"),
        repeated_alone=_figure(repeats(others), "%") if others else None,
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


@torch.no_grad()
def _cka(
    splits: Splits, students: Sequence[nn.Module], teacher: nn.Module, pairs: Sequence[Pair]
) -> list[list[float | None]]:
    """For each pair the value of each student, on some test samples; the teacher runs once."""
    where = np.unique(np.linspace(0, len(splits.test) - 1, min(COMPARED, len(splits.test))).astype(int))
    part = Split(np.asarray(splits.test.x[where]), np.asarray(splits.test.y)[where])
    found = [[LinearCKA() for _ in students] for _ in pairs]
    widest = max(math.prod(layer.shape) for pair in pairs for layer in (pair.student, pair.teacher))
    for batch in batches(part, splits, min(BATCH, max(FEWEST, NUMBERS // widest))):
        x = channels_last(batch.x)
        theirs = answer(teacher.eval(), x, [pair.teacher.name for pair in pairs]).features
        grams = [gram(theirs[pair.teacher.name].numpy()) for pair in pairs]
        for number, student in enumerate(students):
            ours = answer(student.eval(), x, [pair.student.name for pair in pairs]).features
            for row, pair, known in zip(found, pairs, grams, strict=True):
                row[number].add(gram(ours[pair.student.name].numpy()), known)
    return [[each.value for each in row] for row in found]
