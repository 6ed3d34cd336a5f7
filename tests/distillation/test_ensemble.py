"""Tests of several teachers combined into one: which are asked, what they pass on, and what is refused."""

import math

import pytest
import torch
from support.small_training import stripes

from edgekd.data.batches import batches
from edgekd.distillation.ensemble import combine_teachers
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs
from edgekd.tasks.classification import CLASSIFICATION

SURE, TORN = [0.9, 0.1], [0.5, 0.5]


def test_weights_by_scores_that_are_not_known_are_refused():
    with pytest.raises(ConfigError, match="validation accuracy of a teacher is not known"):
        combine_teachers([], CLASSIFICATION, "validation", [90.0, None])


def test_all_teachers_are_asked_about_the_same_batch():
    splits, calls = stripes(count=16), []

    def teacher(row):
        def ask(batch):
            calls.append(batch)
            return Outputs(torch.tensor([row]).log().expand(len(batch.y), 2))

        return ask

    batch = next(batches(splits.train, splits, 3))
    combined = combine_teachers([teacher(SURE), teacher(TORN)], CLASSIFICATION, "mean", [None, None])(batch)
    assert calls == [batch, batch] and combined.logits.exp()[2].tolist() == pytest.approx([0.7, 0.3])


def test_it_hands_on_the_features_of_the_last():
    even, sure = torch.zeros(1, 2), torch.tensor([[math.log(3.0), 0.0]])
    teachers = [lambda batch: Outputs(even), lambda batch: Outputs(sure, {"body": sure})]
    answers = combine_teachers(teachers, CLASSIFICATION, "mean")(None)
    assert answers.logits.exp().tolist() == [pytest.approx([0.625, 0.375])]
    assert set(answers.features) == {"body"}
