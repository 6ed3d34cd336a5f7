"""The answers of several teachers are combined into one, compared with values worked out by hand."""

import math

import numpy as np
import pytest
import torch

from edgekd.tasks.classification.learning import combine
from edgekd.tasks.task import WAYS

SURE, TORN = [0.9, 0.1], [0.5, 0.5]


def logits(*rows):
    """Return logits of shape (teachers, 1, classes), with an offset that softmax cancels."""
    return torch.tensor(rows).log().unsqueeze(1) + 3


def probabilities(combined):
    return combined.exp()[0].tolist()


def test_the_mean_is_that_of_the_probabilities():
    combined = combine(logits(SURE, TORN), "mean", [None, None])
    assert probabilities(combined) == pytest.approx([0.7, 0.3])


def test_who_is_surer_counts_for_more():
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    sure, torn = np.exp(-entropy), 0.5
    combined = combine(logits(SURE, TORN), "confidence", [None, None])
    first = (sure * 0.9 + torn * 0.5) / (sure + torn)
    assert probabilities(combined) == pytest.approx([first, 1 - first])


def test_confidence_is_weighed_sample_by_sample():
    sample_logits = torch.tensor([SURE, TORN]).log()
    combined = combine(torch.stack([sample_logits, sample_logits.flip(0)]), "confidence", [None, None]).exp()
    torch.testing.assert_close(combined[0], combined[1])
    assert combined[0, 0] > 0.7


def test_who_was_right_more_often_counts_for_more():
    combined = combine(logits(SURE, TORN), "validation", [75.0, 25.0])
    assert probabilities(combined) == pytest.approx([0.8, 0.2])


def test_the_geometric_mean_is_that_of_the_logits():
    combined = combine(logits(SURE, TORN), "geometric", [None, None]).softmax(1)
    sure, torn = math.sqrt(0.9 * 0.5), math.sqrt(0.1 * 0.5)
    assert combined[0].tolist() == pytest.approx([sure / (sure + torn), torn / (sure + torn)])


def test_a_teacher_that_is_certain_of_a_class_leaves_finite_answers():
    certain = torch.tensor([[[0.0, -1000.0]], [[0.0, -1000.0]]])
    for method in WAYS:
        assert torch.isfinite(combine(certain, method, [0.0, 50.0])).all()
