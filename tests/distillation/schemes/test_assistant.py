"""Tests of teacher assistants: which network teaches which, also with losses that compare layers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import small_run, stripes, tiny

from edgekd.config import Loss, Training
from edgekd.data.batches import batches
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.losses.total import total_loss
from edgekd.distillation.run import network_teacher
from edgekd.distillation.schemes.assistant import assistant
from edgekd.distillation.teachers.load import precomputed_teacher
from edgekd.errors import ConfigError, ModelError

SPLITS = stripes()
TINY = {"model": "support.small_training:Tiny", "width": 5}


def new_run(epochs=8, loss=None, teacher=None):
    answers = np.where(np.eye(2)[1 - SPLITS.train.y] > 0, 6, -6).astype(np.float32)
    settings = Training(epochs=epochs, batch_size=16)
    return small_run(tiny(0), teacher or precomputed_teacher(answers), loss or SoftTargets(hard=0), SPLITS, settings)


def test_what_the_teacher_said_reaches_the_student_through_all_assistants():
    run = new_run()
    result = assistant(run, [TINY, "support.small_training:Tiny"])
    test_batch = next(batches(SPLITS.test, SPLITS, 32))
    assert (run.student.eval()(test_batch.x).argmax(1) == test_batch.y).float().mean() < 0.1
    assert [row.what for row in result.along_the_way] == [
        f"assistant {one} of 2, support.small_training:Tiny" for one in (1, 2)
    ]
    assert all(row.score.value < 10 for row in result.along_the_way)


def test_an_assistant_can_have_epochs_of_its_own():
    assert assistant(new_run(epochs=2), {**TINY, "epochs": 3}).epochs == 3 + 2


def test_a_loss_that_looks_inside_finds_its_layers_in_each_pair():
    pairs = []

    def connect(student, network):
        loss = total_loss([Loss.model_validate({"name": "attention", "layers": ["body.2:body.2"]})])
        loss.connect(student, network, SPLITS)
        pairs.append((student.body[0].out_channels, network.body[0].out_channels))
        return loss

    teacher = tiny(9, width=6)
    student = tiny(0)
    loss = connect(student, teacher)
    run = replace(
        new_run(epochs=1, loss=loss, teacher=network_teacher(teacher, layers=loss.teacher_layers)),
        student=student, connect=connect, teacher_network=lambda: teacher,
    )  # fmt: skip
    pairs.clear()
    assistant(run, TINY)
    assert pairs == [(4, 5), (5, 6), (4, 5)]  # once to try, then for each training


def test_layers_can_not_be_compared_with_a_teacher_that_is_no_network():
    loss = total_loss([Loss.model_validate({"name": "attention", "layers": ["body.2:body.2"]})])
    loss.connect(tiny(0), tiny(1), SPLITS)
    with pytest.raises(ConfigError, match="needs the teacher as a torch network"):
        assistant(new_run(loss=loss), TINY)


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ([], ConfigError, "no assistant"),
        ({"width": 4}, ConfigError, "names no model"),
        ({**TINY, "epochs": 0}, ConfigError, "epochs = 0"),
        ({**TINY, "widht": 4}, ConfigError, "distill.scheme.assistant.widht"),
        ("resnet21", ConfigError, "no model named 'resnet21'"),
        ({**TINY, "classes": 3}, ModelError, "assistant 'support.small_training:Tiny'"),
    ],
)
def test_what_can_not_be_an_assistant_is_refused_before_anything_trains(wanted, error, words):
    run = new_run()
    before = run.student.head.weight.clone()
    with pytest.raises(error, match=words):
        assistant(run, wanted)
    assert torch.equal(before, run.student.head.weight)
