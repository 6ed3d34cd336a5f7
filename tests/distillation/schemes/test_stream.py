"""Tests of the stream scheme: the order of samples, testing before training, and a drift that the scores show."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import linear, small_run, stripes, tiny

from edgekd.config import Training
from edgekd.data.splits import Split
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import learn, without_teacher
from edgekd.distillation.schemes.stream import stream
from edgekd.errors import ConfigError
from edgekd.training.evaluate import answers_of
from edgekd.training.fit import fit

SPLITS = stripes(count=96)
SETTINGS = Training(batch_size=16, learning_rate=0.05, warmup=0)


def new_run(splits=SPLITS, network=None, settings=SETTINGS):
    teacher = network or tiny(1, width=6)
    loss = SoftTargets(hard=0.1)
    return small_run(tiny(0), lambda batch: None, loss, splits, settings, teacher_network=lambda: teacher)


def changing(count=512):
    """Build stripes whose two labels are swapped after half of the samples."""
    splits = stripes(count=count)
    y = np.where(np.arange(count) < count // 2, splits.train.y, 1 - splits.train.y)
    return replace(splits, train=Split(splits.train.x, y))


def trained_teacher():
    """Return a teacher that was trained with the labels from before the swap."""
    teacher = tiny(1, width=6)
    run = new_run(stripes(), settings=Training(epochs=6, batch_size=16))
    learn(replace(without_teacher(run), student=teacher))
    return teacher


def test_each_window_is_answered_before_it_is_learnt_from():
    run = new_run()
    teacher = tiny(1, width=6)
    first = Split(SPLITS.train.x[:16], SPLITS.train.y[:16])
    score = SPLITS.task.scoring.score
    expected = [score(answers_of(model, first, SPLITS), first.y).value for model in (run.student, teacher)]
    first, *_ = rows = stream(run, windows=6).along_the_way
    assert len(rows) == 6 and first.score.source.startswith("16 samples")
    assert [first.score.value, first.score_teacher.value] == expected


def test_samples_come_once_and_in_their_order():
    indices = []

    class Looking(SoftTargets):
        def forward(self, student, teacher, labels):
            indices.extend(student.index.tolist())
            return super().forward(student, teacher, labels)

    run = replace(new_run(), loss=Looking())
    stream(run, windows=2)
    assert indices == list(range(96))


def test_a_change_shows_in_both_and_both_recover():
    teacher, splits = trained_teacher(), changing()
    rows = stream(new_run(splits, teacher), windows=8).along_the_way
    for windows in ([row.score.value for row in rows], [row.score_teacher.value for row in rows]):
        assert windows[3] > 90 and windows[4] < 60 and windows[7] > 90


def test_a_teacher_that_does_not_learn_misleads_its_student_after_the_change():
    teacher, splits = trained_teacher(), changing()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    last = stream(new_run(splits, teacher), windows=8, teacher_learns=False).along_the_way[7]
    assert last.score_teacher.value < 10 and last.score.value < 10
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_however_it_is_cut_a_stream_teaches_the_same():
    students = []
    for windows in (2, 3):
        torch.manual_seed(0)
        student, teacher = linear(), linear()
        result = stream(replace(new_run(network=teacher), student=student), windows=windows)
        assert result.epochs == len(result.losses) == windows
        students.append(student)
    first, second = (student[1].weight for student in students)
    assert torch.equal(first, second)


def test_a_teacher_that_is_no_network_is_refused():
    with pytest.raises(ConfigError, match="scheme 'stream' needs the teacher as a torch network"):
        stream(replace(new_run(), teacher_network=None), windows=2)


@pytest.mark.parametrize("windows", [0, 7])
def test_more_windows_than_batches_are_refused(windows):
    with pytest.raises(ConfigError, match=f"don't fill {windows} windows") as refused:
        stream(new_run(), windows=windows)
    assert "windows = 6" in refused.value.remedy


def test_an_order_of_ones_own_is_kept_to():
    indices = []

    def step(module, batch):
        indices.append(batch.index.tolist())
        return module(batch.x).square().mean()

    order = [np.array([5, 3, 1, 7]), np.array([0, 2, 4, 6])]
    fit(
        tiny(0), step, SPLITS, Training(epochs=2, batch_size=2), seed=0, compute=new_run().compute, title="distill",
        order=lambda epoch: order[epoch],
    )  # fmt: skip
    assert indices == [[5, 3], [1, 7], [0, 2], [4, 6]]
