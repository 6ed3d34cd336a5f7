"""Tests of robust distillation: its attacks, and that its student resists more than a plainly trained one."""

import numpy as np
import pytest
import torch
from support.small_training import linear, small_run, stripes, tiny

from edgekd.config import Training
from edgekd.data.splits import Split, Splits
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import learn
from edgekd.distillation.schemes.robust import robust
from edgekd.distillation.schemes.robustness import score_under_pgd
from edgekd.distillation.teachers.load import precomputed_teacher
from edgekd.errors import ConfigError
from edgekd.training.evaluate import scores

SPLITS = stripes()


def new_run(student=None, loss=None, epochs=8):
    answers = np.where(np.eye(2)[SPLITS.train.y] > 0, 3, -3).astype(np.float32)
    settings = Training(epochs=epochs, batch_size=16)
    return small_run(student or tiny(0), precomputed_teacher(answers), loss or SoftTargets(1.0, 0.0), SPLITS, settings)


def strong_and_weak(count, seed):
    """Build samples with one feature that is right for 90 % of them, and 64 that shift by 0.3 under noise of 1."""
    chance = np.random.default_rng(seed)
    y = np.arange(count) % 2
    sign = 2 * y - 1
    strong = np.where(chance.random(count) < 0.9, sign, -sign)
    weak = 0.3 * sign[:, None] + chance.normal(size=(count, 64))
    return Split(np.concatenate([strong[:, None], weak], axis=1).astype(np.float32), y)


def test_it_learns_what_can_not_be_taken_away_where_a_plain_student_learns_what_is_most_accurate():
    parts = (strong_and_weak(count, seed) for seed, count in enumerate((256, 64, 256)))
    splits = Splits(*parts, ("below", "above"), (0.0,), (1.0,))
    answers = np.where(np.eye(2)[splits.train.y] > 0, 3, -3).astype(np.float32)
    torch.manual_seed(0)
    plain, hardened = linear(input_shape=(65,)), linear(input_shape=(65,))
    teacher, settings = precomputed_teacher(answers), Training(epochs=8, batch_size=16)
    distillations = [
        small_run(student, teacher, SoftTargets(1.0, 0.0), splits, settings) for student in (plain, hardened)
    ]
    learn(distillations[0])
    result = robust(distillations[1], eps=0.6, steps=3, step=0.5, clean=0.0)
    undisturbed, under_attack = (
        [measure(model) for model in (plain, hardened)]
        for measure in (
            lambda model: scores(model, splits, title="test")["score"],
            lambda model: score_under_pgd(model, splits, eps=0.6).value,
        )
    )
    assert undisturbed[0] > 95 and under_attack[0] < 10  # 0.6 turns every weak hint round
    assert 80 < undisturbed[1] < 95 and under_attack[1] > 80
    (row,) = result.along_the_way
    assert (row.what, row.score.value) == ("test set under PGD, 20 steps, eps 0.6", under_attack[1])


@pytest.mark.parametrize(("clean", "calls"), [(0.0, 1), (0.5, 2)])
def test_the_students_loss_is_shared_between_clean_and_changed_inputs(clean, calls):
    logits = []

    class Looking(SoftTargets):
        def forward(self, student, teacher, labels):
            logits.append(student.logits.detach())
            return super().forward(student, teacher, labels)

    robust(new_run(loss=Looking(1.0, 0.0), epochs=1), steps=1, clean=clean)
    assert len(logits) == 6 * calls
    if calls == 2:
        assert not torch.equal(logits[0], logits[1])


def test_running_statistics_are_those_of_the_inputs_that_are_learnt_from():
    student = tiny(0)
    robust(new_run(student, epochs=1), steps=4, clean=0.5)
    assert student.body[1].num_batches_tracked == 6 * 2


@pytest.mark.parametrize("options", [{"steps": 0}, {"step": 0}, {"clean": 2}, {"eps": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        robust(new_run(), **options)


def test_without_a_teacher_there_is_nothing_to_keep_to():
    with pytest.raises(ConfigError, match="no teacher"):
        robust(small_run(tiny(0), None, None, SPLITS))
