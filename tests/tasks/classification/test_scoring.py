"""Accuracy is scored with its standard error, and agreement as the share of equal classes."""

import math

import numpy as np
import pytest

from edgekd.tasks.classification.scoring import ACCURACY, share_right, standard_error

LOGITS = np.array([[2.0, 1], [0, 1], [0, 1], [3, 1]])


def test_accuracy_is_the_share_of_right_answers_in_percent():
    score = ACCURACY.score(LOGITS, np.array([0, 1, 0, 0]))
    assert score.value == 75.0 and score.error == pytest.approx(math.sqrt(75 * 25 / 4))
    assert math.isnan(ACCURACY.score(LOGITS[:0], np.array([], int)).value)


def test_the_standard_error_of_half_right_on_a_hundred_samples_is_five_points():
    assert standard_error(50.0, 100) == pytest.approx(5.0)
    assert share_right(50, 100) == (50.0, standard_error(50.0, 100))


def test_agreement_does_not_look_at_how_sure_they_are():
    other = np.array([[0.2, 0.1], [0, 1], [1, 0], [3, 1]])
    assert ACCURACY.agreement(LOGITS, other) == 75.0
    assert ACCURACY.describe_change(LOGITS, other, "4 samples") == "75.0 % of 4 samples keep their class"


def test_chance_is_right_in_one_class_of_all():
    assert ACCURACY.chance(tuple("abcd"), np.zeros(3, int)) == 25.0
