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
from edgekd.results import Distillation, LayerSimilarity, Quantity
from edgekd.tasks.spread import host_quantity, spread
from edgekd.tasks.task import Task
from edgekd.training.evaluate import channels_last

Array = np.ndarray

COMPARED = 1_024  # test samples on which layers are compared, evenly spread over the set
BATCH, FEWEST = 256, 32  # of them at once: as many as the widest layer allows
NUMBERS = 2**24  # that a layer may hold for a batch: 64 MB
ANSWERS_ALONE = "the teacher can't be asked about the test set: only stored answers exist"


@dataclass(frozen=True)
class TrainedStudents:
    """Students that differ by their seed alone.

    Attributes:
        students: trained.
        answers: of each on the test set, (N, *answer shape).
    """

    students: Sequence[nn.Module] = ()
    answers: Sequence[Array] = ()


def analyse(
    splits: Splits, taught: TrainedStudents, alone: TrainedStudents, teacher: Array | None, facts: Mapping[str, Any]
) -> Distillation:
    """Everything that answers tell; layers are compared by `similarities`.

    Args:
        taught, alone: with the teacher and without, in the order of the seeds; `alone` may be empty.
        teacher: its answers on the test set, (N, *answer shape); None where it can't be asked.
        facts: what the trainings were: scheme, losses, epochs, baseline_epochs and seeds.
    """
    task, y = splits.task, np.asarray(splits.test.y)
    both = {"": taught.answers, "_alone": alone.answers}
    record: dict[str, Any] = {**facts, "samples": len(y), "gain": _gain(taught.answers, alone.answers, y, task)}
    for name, group in both.items():
        scores = [task.scoring.score(answers, y) for answers in group]
        error = scores[0].error if scores else None
        record[f"score{name}"] = spread([score.value for score in scores], task.words.unit, error)
    record |= task.scoring.transfer(taught.answers, alone.answers, teacher, y, splits.classes)._asdict()
    if teacher is None:
        return Distillation(**record, unknown=ANSWERS_ALONE)
    for name, group in both.items():
        alike = [task.scoring.agreement(answers, teacher) for answers in group]
        record[f"agreement{name}"] = spread(alike, task.words.agreement_unit)
    return Distillation(**record, score_teacher=host_quantity(task.scoring.score(teacher, y).value, task.words.unit))


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


def _gain(taught: Sequence[Array], alone: Sequence[Array], y: Array, task: Task) -> Quantity | None:
    """Paired by seed: both students of a pair start from the same weights and see the same batches."""
    if not alone:
        return None
    score = task.scoring.score
    gains = [task.words.gain(score(a, y).value, score(b, y).value) for a, b in zip(taught, alone, strict=True)]
    gain = spread(gains, task.words.difference)
    return gain.mean if gain else None


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
