"""Several teachers as one: the means by hand, and what is refused."""

import math

import numpy as np
import pytest
import torch
from support.small_training import stripes

from edgekd.data.batches import batches
from edgekd.distillation.ensemble import WAYS, as_one, combined
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs

SURE, TORN = [0.9, 0.1], [0.5, 0.5]


def logits(*rows):
    """(teachers, 1, classes), up to a constant that softmax takes out again."""
    return torch.tensor(rows).log().unsqueeze(1) + 3


def probabilities(found):
    return found.exp()[0].tolist()


def test_the_mean_is_that_of_the_probabilities():
    found = combined(logits(SURE, TORN), "mean", [None, None])
    assert probabilities(found) == pytest.approx([0.7, 0.3])


def test_who_is_surer_counts_for_more():
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    sure, torn = np.exp(-entropy), 0.5
    found = combined(logits(SURE, TORN), "confidence", [None, None])
    first = (sure * 0.9 + torn * 0.5) / (sure + torn)
    assert probabilities(found) == pytest.approx([first, 1 - first])


def test_confidence_is_weighed_sample_by_sample():
    one = torch.tensor([SURE, TORN]).log()
    found = combined(torch.stack([one, one.flip(0)]), "confidence", [None, None]).exp()
    torch.testing.assert_close(found[0], found[1])
    assert found[0, 0] > 0.7


def test_who_was_right_more_often_counts_for_more():
    found = combined(logits(SURE, TORN), "validation", [75.0, 25.0])
    assert probabilities(found) == pytest.approx([0.8, 0.2])


def test_the_geometric_mean_is_that_of_the_logits():
    found = combined(logits(SURE, TORN), "geometric", [None, None]).softmax(1)
    sure, torn = math.sqrt(0.9 * 0.5), math.sqrt(0.1 * 0.5)
    assert found[0].tolist() == pytest.approx([sure / (sure + torn), torn / (sure + torn)])


def test_a_teacher_that_is_certain_of_a_class_leaves_finite_answers():
    certain = torch.tensor([[[0.0, -1000.0]], [[0.0, -1000.0]]])
    for way in WAYS:
        assert torch.isfinite(combined(certain, way, [0.0, 50.0])).all()


def test_weights_by_accuracies_that_are_not_known_are_refused():
    with pytest.raises(ConfigError, match="validation accuracy of a teacher is not known"):
        as_one([], "validation", [90.0, None])


def test_all_teachers_are_asked_about_the_same_batch():
    splits, asked = stripes(count=16), []

    def teacher(row):
        def ask(batch):
            asked.append(batch)
            return Outputs(torch.tensor([row]).log().expand(len(batch.y), 2))

        return ask

    batch = next(batches(splits.train, splits, 3))
    found = as_one([teacher(SURE), teacher(TORN)], "mean", [None, None])(batch)
    assert asked == [batch, batch] and found.logits.exp()[2].tolist() == pytest.approx([0.7, 0.3])


def test_it_hands_on_the_features_of_the_last():
    even, sure = torch.zeros(1, 2), torch.tensor([[math.log(3.0), 0.0]])
    answers = as_one([lambda batch: Outputs(even), lambda batch: Outputs(sure, {"body": sure})], "mean")(None)
    assert answers.logits.exp().tolist() == [pytest.approx([0.625, 0.375])]
    assert set(answers.features) == {"body"}
