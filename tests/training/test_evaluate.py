"""Tests of evaluation: answers in the split's order, their scores, and models that don't fit the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import Tiny, linear, stripes
from torch import nn

from edgekd.data.splits import Split
from edgekd.errors import ModelError
from edgekd.nn.outputs import Outputs, check_answer
from edgekd.training.evaluate import answers_of, count_parameters, scores

SPLITS = stripes()


class Returning(nn.Module):
    """A network that answers with the result of a given function."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


def test_answers_do_not_depend_on_the_batch_size_and_leave_the_mode_alone():
    model = Tiny().train()
    one_batch, small_batches = (answers_of(model, SPLITS.test, SPLITS, batch_size=size) for size in (256, 5))
    assert one_batch.shape == (32, 2) and one_batch.dtype == np.float32
    assert np.allclose(one_batch, small_batches, atol=1e-6) and model.training


def test_both_figures_are_taken_from_their_own_split():
    """The network always answers class 0, which is right for all test samples and half of the validation samples."""
    zeros = Split(SPLITS.test.x, np.zeros(32, np.int64))
    splits = replace(SPLITS, test=zeros)
    result = scores(Returning(lambda x: torch.eye(2)[:1].repeat(len(x), 1)), splits, title="test")
    assert result == {"score": 100.0, "score_error": 0.0, "validation_score": 50.0}


def test_parameters_are_counted_without_running_statistics():
    assert count_parameters(Tiny(width=4)) == 4 * 9 + 4 + 4 + 4 + 4 * 2 + 2


def test_a_model_that_fits_passes_and_may_give_features():
    check_answer(linear(), SPLITS, "student")
    check_answer(Returning(lambda x: Outputs(x.mean((1, 2))[:, :2], {"body": x})), SPLITS, "teacher")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (linear(classes=10), r"\(2, 10\).*2 classes"),
        (nn.Conv2d(3, 2, 3), r"can't take .* \(1, 8, 8\)"),
        (Returning(lambda x: x), r"shape \(2, 1, 8, 8\)"),
        (Returning(lambda x: (x, x)), "returns a tuple"),
        (Returning(lambda x: torch.full((2, 2), float("nan"))), "not finite"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused(model, message):
    with pytest.raises(ModelError, match=message):
        check_answer(model, SPLITS, "student 'toy'")
