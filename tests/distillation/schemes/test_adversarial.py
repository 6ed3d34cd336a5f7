"""Tests of adversarial distillation: what generator and student optimise, and a student trained without samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import linear, small_run, stripes, tiny
from torch import nn

from edgekd.config import Training
from edgekd.data.splits import Split
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import learn, network_teacher, without_teacher
from edgekd.distillation.schemes.adversarial import adversarial
from edgekd.distillation.schemes.generator import AdamNetwork, Generator
from edgekd.errors import ConfigError
from edgekd.training.evaluate import scores

SPLITS = stripes()
SMALL = {"width": 8, "latent": 8}


def new_run(epochs=1, splits=SPLITS, network=None, student=None, **settings):
    network = network or tiny(1, width=6)
    training = Training(**{"epochs": epochs, "batch_size": 16, **settings})
    return small_run(
        student or tiny(0),
        network_teacher(network),
        SoftTargets(hard=0.5),
        splits,
        training,
        teacher_network=lambda: network,
    )


def test_a_student_that_never_saw_a_sample_knows_what_its_teacher_knows():
    teacher, student = tiny(1, width=6), tiny(0)
    learn(replace(without_teacher(new_run(8)), student=teacher))
    unseen = replace(SPLITS, train=Split(np.zeros_like(SPLITS.train.x), 1 - SPLITS.train.y))
    adversarial(new_run(10, unseen, teacher, student), data="none", **SMALL)
    assert scores(student, SPLITS, title="test")["score"] > 90


def test_without_data_labels_and_losses_are_not_looked_at():
    class Never(nn.Module):
        def forward(self, student, teacher, labels):
            raise AssertionError("asked")

    adversarial(replace(new_run(), loss=Never()), data="none", **SMALL)


def test_images_that_were_made_leave_running_statistics_alone_beside_true_ones():
    student, plain = tiny(0), tiny(0)
    run = new_run(student=student)
    adversarial(replace(run, settings=Training(epochs=1, batch_size=96, learning_rate=1e-9)), **SMALL)
    learn(replace(without_teacher(run), student=plain, settings=Training(epochs=1, batch_size=96, learning_rate=1e-9)))
    torch.testing.assert_close(student.body[1].running_mean, plain.body[1].running_mean)
    torch.testing.assert_close(student.body[1].running_var, plain.body[1].running_var)
    assert student.body[1].momentum == 0.1


def test_a_trained_network_moves_as_adam_would():
    torch.manual_seed(0)
    ours, theirs = linear(), linear()
    theirs.load_state_dict(ours.state_dict())
    network = AdamNetwork(ours, learning_rate=0.01)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.5, 0.999))
    for x in torch.randn(3, 5, 1, 8, 8):
        network.lower(lambda x=x: network(x).square().mean())
        adam.zero_grad()
        theirs(x).square().mean().backward()
        adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_it_moves_once_in_so_many_calls():
    network = AdamNetwork(linear(), learning_rate=0.01, every=3)
    calls = []
    for number in range(7):
        network.lower(lambda number=number: calls.append(number) or network(torch.ones(1, 1, 8, 8)).sum())
    assert calls == [0, 3, 6]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 49, 10), (1, 5, 3)])
def test_images_of_any_size_come_out_normalised(shape):
    images = Generator(shape, latent=4, width=8)(torch.randn(32, 4))
    assert images.shape == (32, *shape)
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(shape[0]), rtol=0, atol=1e-4)
    torch.testing.assert_close(images.var((0, 2, 3), correction=0), torch.ones(shape[0]), rtol=1e-2, atol=1e-2)


def test_a_teacher_that_is_no_network_is_refused():
    with pytest.raises(ConfigError, match="scheme 'adversarial' needs the teacher as a torch network"):
        adversarial(replace(new_run(), teacher_network=None))


def test_inputs_that_are_no_images_are_refused():
    series = Split(np.zeros((96, 3, 64), np.float32), SPLITS.train.y)
    with pytest.raises(ConfigError, match=r"makes images .* shape \(3, 64\)"):
        adversarial(new_run(splits=replace(SPLITS, train=series)))


@pytest.mark.parametrize("options", [{"data": "some"}, {"every": 0}, {"weight": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="scheme 'adversarial': data = "):
        adversarial(new_run(), **options)
