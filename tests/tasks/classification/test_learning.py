"""The probabilities of several teachers as one answer, by hand."""

import math

import numpy as np
import pytest
import torch

from edgekd.tasks.classification.learning import combine
from edgekd.tasks.task import WAYS

SURE, TORN = [0.9, 0.1], [0.5, 0.5]


def logits(*rows):
    """(teachers, 1, classes), up to a constant that softmax takes out again."""
    return torch.tensor(rows).log().unsqueeze(1) + 3


def probabilities(found):
    return found.exp()[0].tolist()


def test_the_mean_is_that_of_the_probabilities():
    found = combine(logits(SURE, TORN), "mean", [None, None])
    assert probabilities(found) == pytest.approx([0.7, 0.3])


def test_who_is_surer_counts_for_more():
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    sure, torn = np.exp(-entropy), 0.5
    found = combine(logits(SURE, TORN), "confidence", [None, None])
    first = (sure * 0.9 + torn * 0.5) / (sure + torn)
    assert probabilities(found) == pytest.approx([first, 1 - first])


def test_confidence_is_weighed_sample_by_sample():
    one = torch.tensor([SURE, TORN]).log()
    found = combine(torch.stack([one, one.flip(0)]), "confidence", [None, None]).exp()
    torch.testing.assert_close(found[0], found[1])
    assert found[0, 0] > 0.7


def test_who_was_right_more_often_counts_for_more():
    found = combine(logits(SURE, TORN), "validation", [75.0, 25.0])
    assert probabilities(found) == pytest.approx([0.8, 0.2])


def test_the_geometric_mean_is_that_of_the_logits():
    found = combine(logits(SURE, TORN), "geometric", [None, None]).softmax(1)
    sure, torn = math.sqrt(0.9 * 0.5), math.sqrt(0.1 * 0.5)
    assert found[0].tolist() == pytest.approx([sure / (sure + torn), torn / (sure + torn)])


def test_a_teacher_that_is_certain_of_a_class_leaves_finite_answers():
    certain = torch.tensor([[[0.0, -1000.0]], [[0.0, -1000.0]]])
    for way in WAYS:
        assert torch.isfinite(combine(certain, way, [0.0, 50.0])).all()
