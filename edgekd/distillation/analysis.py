"""Compares distilled students with their teacher and with students trained without it, for the report."""

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
BATCH, FEWEST = 256, 32  # samples of a batch, at most and at least: as many as the widest layer allows
NUMBERS = 2**24  # elements of a layer's output for one batch, at most: 64 MB in float32
ANSWERS_ALONE = "the teacher can't be asked about the test set: only stored answers exist"


@dataclass(frozen=True)
class TrainedStudents:
    """Students that differ by their seed alone.

    Attributes:
        students: the trained networks, in the order of the seeds.
        answers: each student's answers to the test set, (N, *answer shape).
    """

    students: Sequence[nn.Module] = ()
    answers: Sequence[Array] = ()


def analyse(
    splits: Splits, distilled: TrainedStudents, alone: TrainedStudents, teacher: Array | None, facts: Mapping[str, Any]
) -> Distillation:
    """Compare the networks by their answers; `similarities` compares them by their layers.

    Args:
        distilled, alone: the students trained with the teacher and without it; `alone` may be empty.
        teacher: its answers to the test set, (N, *answer shape); None where it can't be run.
        facts: the fields of the record that describe the trainings: scheme, losses, epochs, baseline_epochs and seeds.
    """
    task, y = splits.task, np.asarray(splits.test.y)
    groups = {"": distilled.answers, "_alone": alone.answers}
    record: dict[str, Any] = {**facts, "samples": len(y), "gain": _gain(distilled.answers, alone.answers, y, task)}
    for name, group in groups.items():
        scores = [task.scoring.score(answers, y) for answers in group]
        error = scores[0].error if scores else None
        record[f"score{name}"] = spread([score.value for score in scores], task.words.unit, error)
    record |= task.scoring.transfer(distilled.answers, alone.answers, teacher, y, splits.classes)._asdict()
    if teacher is None:
        return Distillation(**record, unknown=ANSWERS_ALONE)
    for name, group in groups.items():
        agreements = [task.scoring.agreement(answers, teacher) for answers in group]
        record[f"agreement{name}"] = spread(agreements, task.words.agreement_unit)
    return Distillation(**record, score_teacher=host_quantity(task.scoring.score(teacher, y).value, task.words.unit))


def similarities(
    splits: Splits,
    distilled: TrainedStudents,
    alone: TrainedStudents,
    teacher: nn.Module | None,
    loss_pairs: Sequence[Pair],
) -> tuple[tuple[LayerSimilarity, ...], str]:
    """Compare pairs of layers by CKA; return the rows and "", or no rows and the reason.

    Args:
        teacher: None where it is no torch module.
        loss_pairs: pairs that the losses compare; where there are none, layers are matched by resolution or depth.
    """
    if teacher is None:
        return (), "the teacher is no torch module: its layers can't be seen"
    ours, theirs = survey(distilled.students[0], splits.example), survey(teacher, splits.example)
    networks = Networks(ours, theirs, classes=len(splits.classes), samples=len(splits.train))
    layer_names = {layer.name for layer in ours}, {layer.name for layer in theirs}
    pairs = tuple(
        pair for pair in loss_pairs if pair.student.name in layer_names[0] and pair.teacher.name in layer_names[1]
    )
    try:
        pairs = pairs or networks.pairs(None, "CKA")
    except ConfigError as error:
        return (), error.what
    values = _cka(splits, [*distilled.students, *alone.students], teacher, pairs)
    count = len(distilled.students)
    rows = []
    for pair, values_of_pair in zip(pairs, values, strict=True):
        with_teacher, without_teacher = (
            spread([v for v in part if v is not None], "CKA")
            for part in (values_of_pair[:count], values_of_pair[count:])
        )
        names = {"student": pair.student.name, "teacher": pair.teacher.name}
        if with_teacher is not None:
            rows.append(LayerSimilarity(**names, distilled=with_teacher, alone=without_teacher))
    return tuple(rows), "" if rows else "the layers answer the same to every sample, or the test set is too small"


def _gain(distilled: Sequence[Array], alone: Sequence[Array], y: Array, task: Task) -> Quantity | None:
    """Return the mean gain over pairs of one seed, whose students start from the same weights and see the same batches.

    None where no student was trained without the teacher.
    """
    if not alone:
        return None
    score = task.scoring.score
    gains = [task.words.gain(score(a, y).value, score(b, y).value) for a, b in zip(distilled, alone, strict=True)]
    gain = spread(gains, task.words.difference)
    return gain.mean if gain else None


@torch.no_grad()
def _cka(
    splits: Splits, students: Sequence[nn.Module], teacher: nn.Module, pairs: Sequence[Pair]
) -> list[list[float | None]]:
    """Return for each pair of layers the CKA of each student, on some test samples; the teacher runs once."""
    positions = np.unique(np.linspace(0, len(splits.test) - 1, min(COMPARED, len(splits.test))).astype(int))
    part = Split(np.asarray(splits.test.x[positions]), np.asarray(splits.test.y)[positions])
    estimates = [[LinearCKA() for _ in students] for _ in pairs]
    widest = max(math.prod(layer.shape) for pair in pairs for layer in (pair.student, pair.teacher))
    for batch in batches(part, splits, min(BATCH, max(FEWEST, NUMBERS // widest))):
        x = channels_last(batch.x)
        theirs = answer(teacher.eval(), x, [pair.teacher.name for pair in pairs]).features
        grams = [gram(theirs[pair.teacher.name].numpy()) for pair in pairs]
        for number, student in enumerate(students):
            ours = answer(student.eval(), x, [pair.student.name for pair in pairs]).features
            for row, pair, teacher_gram in zip(estimates, pairs, grams, strict=True):
                row[number].add(gram(ours[pair.student.name].numpy()), teacher_gram)
    return [[estimate.value for estimate in row] for row in estimates]
