"""Tests of the analysis: it detects a biased teacher and does not blame the teacher for hard samples."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.small_training import Tiny, linear, stripes

from edgekd.data.splits import Split, Splits
from edgekd.distillation.analysis import TrainedStudents, analyse, similarities
from edgekd.nn.layers import Pair, survey
from edgekd.results import ClassTransfer, Distillation

STRIPES = stripes()
Y = np.repeat([0, 1, 2], 10)
FACTS = {"scheme": "offline", "losses": ("logits",), "epochs": 3, "baseline_epochs": 3, "seeds": (0,)}


def data() -> Splits:
    """Return splits with ten test samples of each of three classes."""
    return replace(STRIPES, test=Split(np.zeros((30, 1, 8, 8), np.uint8), Y), classes=("a", "b", "c"))


def saying(wrong: dict[int, int]) -> np.ndarray:
    """Return logits that are right except for the samples in `wrong`, which maps their index to a class."""
    classes = Y.copy()
    for place, predicted in wrong.items():
        classes[place] = predicted
    return np.eye(3)[classes] * 5


def record_of(
    teacher: np.ndarray | None, taught: Sequence[np.ndarray], alone: Sequence[np.ndarray], **facts: Any
) -> Any:
    return analyse(data(), TrainedStudents(answers=taught), TrainedStudents(answers=alone), teacher, {**FACTS, **facts})


def of(record: Distillation, name: str) -> ClassTransfer:
    return next(row for row in record.classes if row.name == name)


BIASED = saying(dict.fromkeys(range(20, 28), 0))  # takes eight of the ten c for a


def test_a_biased_teacher_is_seen_in_its_student() -> None:
    student = saying(dict.fromkeys(range(20, 27), 0))
    row = of(record_of(BIASED, [student], [saying({29: 1})]), "c")
    assert (row.mistakes, row.taken_for, row.inherited) == (8, "a", True)
    assert row.repeated.value == pytest.approx(100 * 7 / 8)
    assert row.repeated_alone is not None and row.repeated_alone.value == 0.0
    assert row.by_chance.value == pytest.approx(100 * (8 * 7 / 10) / 8)
    assert row.agreement.value == pytest.approx(90.0)


def test_what_the_student_alone_takes_for_the_same_is_not_inherited() -> None:
    hard = saying(dict.fromkeys(range(20, 27), 0))
    assert not of(record_of(BIASED, [hard], [hard]), "c").inherited


def test_without_a_student_alone_chance_is_what_counts() -> None:
    teacher, elsewhere = saying(dict.fromkeys(range(20, 25), 0)), saying(dict.fromkeys(range(23, 28), 0))
    assert of(record_of(teacher, [teacher], []), "c").inherited  # 5 of 5, where chance repeats 2.5, give or take 0.83
    assert not of(record_of(teacher, [elsewhere], []), "c").inherited


def test_of_few_mistakes_nothing_is_said_to_be_inherited() -> None:
    teacher = saying(dict.fromkeys(range(20, 24), 0))
    assert not of(record_of(teacher, [teacher], [saying({})]), "c").inherited


def test_a_class_without_mistakes_has_no_share_of_them() -> None:
    row = of(record_of(BIASED, [BIASED], [saying({})]), "b")
    assert (row.mistakes, row.taken_for) == (0, "")
    assert row.repeated.value is None and row.by_chance.value is None and row.consistency.value is None
    assert row.agreement.value == 100.0


def test_the_gain_is_paired_by_seed() -> None:
    taught = [saying({}), saying({0: 1}), saying({0: 1, 1: 1})]
    alone = [saying({0: 1, 1: 1, 2: 1}), saying({0: 1, 1: 1, 2: 1}), saying({0: 1, 1: 1, 2: 1})]
    record = record_of(BIASED, taught, alone, seeds=(0, 1, 2))
    gains = [100 * n / 30 for n in (3, 2, 1)]
    assert record.gain.value == pytest.approx(np.mean(gains))
    assert record.gain.error == pytest.approx(np.std(gains, ddof=1) / 3**0.5)
    assert record.score.each == pytest.approx([100.0, 100 * 29 / 30, 100 * 28 / 30])
    assert record.score_alone.mean.error == pytest.approx(0.0)


def test_of_one_seed_a_score_has_the_error_of_its_test_samples() -> None:
    record = record_of(BIASED, [saying(dict.fromkeys(range(15), 2))], [])
    assert record.score.mean.error == pytest.approx(50 / 30**0.5)
    several = record_of(BIASED, [saying({}), saying({0: 1})], [])
    assert several.score.mean.error == pytest.approx(100 / 30 / 2)


def test_a_teacher_that_cant_be_asked_leaves_what_answers_alone_tell() -> None:
    record = record_of(None, [saying({})], [saying({0: 1})])
    assert "stored answers" in record.unknown and record.agreement is None and record.classes == ()
    assert record.score.mean.value == 100.0 and record.measures[0].student.mean.value is not None


def test_a_copy_of_the_teacher_has_the_teachers_layers() -> None:
    torch.manual_seed(0)
    teacher, other = Tiny(), Tiny()
    rows, why = similarities(STRIPES, TrainedStudents([teacher]), TrainedStudents([other]), teacher, ())
    assert why == "" and rows[0].distilled.mean.value == pytest.approx(1.0, abs=1e-5)
    assert rows[0].alone is not None and (rows[0].alone.mean.value or 1.0) < 0.999


def test_layers_that_are_not_there_are_not_compared_and_it_is_said_why() -> None:
    assert "no torch module" in similarities(STRIPES, TrainedStudents([Tiny()]), TrainedStudents(), None, ())[1]
    assert survey(linear(), STRIPES.example)
    rows, why = similarities(STRIPES, TrainedStudents([linear()]), TrainedStudents(), Tiny(), ())
    assert rows == () and "no layers" in why


def test_the_layers_that_a_loss_compares_are_those_that_are_told_of() -> None:
    teacher, student = Tiny(), Tiny(width=6)
    layers = {layer.name: layer for layer in survey(student, STRIPES.example)}
    theirs = {layer.name: layer for layer in survey(teacher, STRIPES.example)}
    compared = (Pair(layers["body.0"], theirs["body.2"]),)
    rows, _ = similarities(STRIPES, TrainedStudents([student]), TrainedStudents(), teacher, compared)
    assert [(row.student, row.teacher, row.alone) for row in rows] == [("body.0", "body.2", None)]
    missing = Pair(replace(layers["body.0"], name="gone"), theirs["body.2"])
    rows, _ = similarities(STRIPES, TrainedStudents([student]), TrainedStudents(), teacher, (missing,))
    assert [row.student for row in rows] == ["body"]  # matched by resolution instead
