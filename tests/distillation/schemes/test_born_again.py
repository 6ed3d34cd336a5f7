"""Tests of born-again generations: which one teaches which, and what is refused before training starts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import small_run, stripes, tiny

from edgekd.config import Training
from edgekd.data.batches import batches
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.schemes.born_again import born_again
from edgekd.distillation.teachers.load import precomputed_teacher
from edgekd.errors import ConfigError

SPLITS = stripes()


def contrary():
    """Return a teacher that answers each sample with the wrong one of the two classes."""
    return precomputed_teacher(np.where(np.eye(2)[1 - SPLITS.train.y] > 0, 6, -6).astype(np.float32))


def new_run(teacher=None, epochs=8, hard=0.0):
    settings = Training(epochs=epochs, batch_size=16)
    return small_run(tiny(0), teacher or contrary(), SoftTargets(hard=hard), SPLITS, settings)


def share_right(model):
    batch = next(batches(SPLITS.test, SPLITS, 32))
    return (model.eval()(batch.x).argmax(1) == batch.y).float().mean().item()


def test_what_the_first_teacher_said_is_handed_down():
    run = new_run()
    result = born_again(run, generations=3)
    assert share_right(run.student) < 0.1
    assert result.epochs == 24


def test_a_line_can_start_from_the_labels_and_never_ask_the_teacher():
    def silent(batch):
        raise AssertionError("asked")

    run = new_run(silent)
    born_again(run, generations=2, first="labels")
    assert share_right(run.student) > 0.9


def test_each_generation_starts_from_weights_of_its_own():
    seeds = []

    def fresh(seed):
        seeds.append(seed)
        return tiny(seed)

    born_again(replace(new_run(epochs=1), fresh=fresh, seed=4), generations=3)
    assert seeds == [5, 6]


def test_an_ensemble_of_earlier_generations_teaches_something_else_than_the_last_of_them():
    one, many = new_run(epochs=2, hard=0.5), new_run(epochs=2, hard=0.5)
    born_again(one, generations=3)
    born_again(many, generations=3, ensemble=True)
    assert not torch.equal(one.student.head.weight, many.student.head.weight)


def test_the_loss_is_connected_to_each_generation_before_the_first_trains():
    def connect(student, network):
        raise ConfigError("no such layers", "others")

    run = replace(new_run(), connect=connect)
    before = run.student.head.weight.clone()
    with pytest.raises(ConfigError, match="no such layers"):
        born_again(run)
    assert torch.equal(before, run.student.head.weight)


@pytest.mark.parametrize("options", [{"generations": 0}, {"first": "nobody"}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="scheme 'born_again'"):
        born_again(new_run(), **options)
