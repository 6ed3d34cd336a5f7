"""Measures of what a classifier inherits from its teacher, compared with values worked out by hand."""

import math

import numpy as np
import pytest

from edgekd.tasks.classification import measures

CLASSES = 3


def sure_logits(*classes: int) -> np.ndarray:
    """Return the logits of a network that is sure of these classes."""
    return np.eye(CLASSES)[list(classes)] * 10


def test_agreement_counts_the_same_top_class_sample_by_sample() -> None:
    same = measures.agreement(sure_logits(0, 1, 2, 2), sure_logits(0, 1, 2, 1))
    assert same.tolist() == [True, True, True, False]
    assert measures.share(same) == 75.0
    assert measures.share(same[:0]) is None


def test_calibration_error_of_two_bins_is_their_weighted_gap() -> None:
    # Confidence 0.9 on four samples of which three are right, 0.6 on one that is right, in the bins (0.8, 0.9] and
    # (0.5, 0.6]: 4/5 * |0.75 - 0.9| + 1/5 * |1 - 0.6| = 0.12 + 0.08.
    high, low = math.log(0.9 / 0.1), math.log(0.6 / 0.4)
    logits = np.array([[high - 1e-9, 0.0]] * 4 + [[low - 1e-9, 0.0]])
    y = np.array([0, 0, 0, 1, 0])
    assert measures.calibration_error(logits, y, bins=10) == pytest.approx(20.0, abs=1e-6)


def test_a_network_that_is_surely_right_is_calibrated_and_one_that_is_surely_wrong_is_not() -> None:
    assert measures.calibration_error(sure_logits(0, 1) * 10, np.array([0, 1])) == pytest.approx(0.0)
    assert measures.calibration_error(sure_logits(1, 0) * 10, np.array([0, 1])) == pytest.approx(100.0)


def test_huge_logits_do_not_overflow() -> None:
    assert measures.calibration_error(np.array([[1e4, 0.0]]), np.array([0])) == pytest.approx(0.0)


def test_error_consistency_is_cohens_kappa() -> None:
    # Both right on 5 of 10, both wrong on 2: observed 0.7. Right: 6 and 7 of 10, so expected 0.42 + 0.12 = 0.54.
    first_right = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], bool)
    second_right = np.array([1, 1, 1, 1, 1, 0, 1, 1, 0, 0], bool)
    consistency = measures.error_consistency(first_right, second_right)
    assert consistency is not None
    assert (consistency.observed, consistency.expected) == (pytest.approx(0.7), pytest.approx(0.54))
    assert consistency.kappa == pytest.approx(0.16 / 0.46)
    assert consistency.error == pytest.approx(math.sqrt(0.7 * 0.3 / 10) / 0.46)


def test_the_same_mistakes_are_fully_consistent_and_opposite_ones_are_below_chance() -> None:
    right = np.array([1, 0, 1, 0], bool)
    same, opposite = measures.error_consistency(right, right), measures.error_consistency(right, ~right)
    assert same is not None and same.kappa == 1.0
    assert opposite is not None and opposite.kappa == -1.0


def test_of_one_that_never_errs_no_consistency_can_be_told() -> None:
    assert measures.error_consistency(np.ones(4, bool), np.array([1, 0, 1, 1], bool)) is None


def test_repeated_mistakes_and_what_chance_would_repeat() -> None:
    # Four samples of class 0. The teacher takes two of them for 1, the student one of these two and another one.
    y = np.zeros(4, int)
    repeats = measures.repeated_mistakes(sure_logits(1, 0, 1, 0), sure_logits(1, 1, 0, 0), y)
    assert (repeats.mistakes, repeats.same) == (2, 1)
    assert repeats.expected == pytest.approx(2 * 2 / 4)
    # Of the student's 6 ways to place two answers, 1 repeats both, 4 one, 1 none: variance 1/3.
    assert repeats.deviation == pytest.approx(math.sqrt(1 / 3))


def test_the_spread_of_chance_is_that_of_random_orders() -> None:
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], [9, 7])
    student, teacher = sure_logits(*random.integers(0, 3, 16)), sure_logits(*random.integers(0, 3, 16))
    repeats = measures.repeated_mistakes(student, teacher, y)
    counts = []
    for _ in range(4_000):
        order = np.concatenate([random.permutation(np.flatnonzero(y == label)) for label in (0, 1)])
        counts.append(measures.repeated_mistakes(student[order], teacher, y).same)
    assert np.mean(counts) == pytest.approx(repeats.expected, abs=4 * repeats.deviation / math.sqrt(4_000))
    assert np.std(counts) == pytest.approx(repeats.deviation, rel=0.05)


def test_a_right_answer_is_no_repeated_mistake() -> None:
    repeats = measures.repeated_mistakes(sure_logits(0, 1), sure_logits(0, 1), np.array([0, 1]))
    assert repeats == (0, 0, 0.0, 0.0)


def test_what_two_that_never_met_share_is_taken_off() -> None:
    y, teacher = np.zeros(4, int), sure_logits(1, 1, 1, 1)
    # Over two seeds its students repeat 2, 2, 1 and 0 of the mistakes, the students alone 1, 0, 1 and 0: more by
    # 1/2, 1, 0 and 0.
    students = [sure_logits(1, 1, 1, 0), sure_logits(1, 1, 0, 0)]
    undistilled = [sure_logits(1, 0, 1, 0), sure_logits(0, 0, 0, 0)]
    excess = measures.excess_repeats(students, undistilled, teacher, y)
    assert excess is not None
    assert excess[0] == pytest.approx(100 * 1.5 / 4)
    assert excess[1] == pytest.approx(100 * np.std([0.5, 1, 0, 0], ddof=1) / 2)
    assert measures.excess_repeats(students, [], teacher, y) is None


def test_a_thousand_classes_are_no_more_work_than_their_samples() -> None:
    y = np.arange(1_000).repeat(3)
    answers = np.zeros((3_000, 1_000), np.float32)
    answers[np.arange(3_000), (y + (np.arange(3_000) % 3 == 0)) % 1_000] = 1  # the first of three is wrong
    repeats = measures.repeated_mistakes(answers, answers, y)
    assert (repeats.mistakes, repeats.same) == (1_000, 1_000)
    assert repeats.expected == pytest.approx(1_000 / 3)
