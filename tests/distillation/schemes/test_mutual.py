"""Tests of mutual learning: what the peers learn from each other, and which of them is the result."""

import math
from dataclasses import replace

import pytest
import torch
from support.small_training import small_run, stripes, tiny
from torch import nn

from edgekd.config import Training
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import learn
from edgekd.distillation.schemes.mutual import agreement, mutual
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs

SPLITS = stripes()


def new_run(student=None, teacher=None, loss=None):
    return small_run(student or tiny(0), teacher, loss, SPLITS, Training(epochs=2, batch_size=16))


def test_each_peer_pays_its_mean_divergence_from_the_others():
    even, sure = torch.zeros(1, 2), torch.tensor([[math.log(3.0), 0.0]])  # (1/2, 1/2) and (3/4, 1/4)
    divergences = agreement([even, sure, sure])
    from_sure = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)  # KL(sure || even)
    from_even = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert divergences[0].item() == pytest.approx(from_sure)
    assert divergences[1].item() == pytest.approx(from_even / 2)  # the third peer says the same


def test_a_peer_is_pulled_towards_the_others_which_stand_still():
    first, second = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    agreement([first, second])[0].backward()
    assert first.grad is not None and second.grad is None


def test_softer_answers_are_compared_on_the_same_scale():
    logits = [torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])]
    halves = agreement([one / 2 for one in logits])[0]
    assert agreement(logits, temperature=2.0)[0].item() == pytest.approx(4 * halves.item())


def test_peers_change_what_the_student_becomes():
    without_peers, two, three = (tiny(0) for _ in range(3))
    learn(new_run(without_peers))
    mutual(new_run(two))
    mutual(new_run(three), peers=3)
    weights = [model.head.weight for model in (without_peers, two, three)]
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])


def test_the_teacher_is_asked_only_if_wanted():
    batch_sizes = []

    def teacher(batch):
        batch_sizes.append(len(batch.y))
        return Outputs(torch.zeros(len(batch.y), 2))

    mutual(new_run(teacher=teacher, loss=SoftTargets()))
    assert not batch_sizes
    mutual(new_run(teacher=teacher, loss=SoftTargets()), with_teacher=True)
    assert len(batch_sizes) == 2 * 2 * 6  # peers, epochs, steps


def test_each_peer_has_adapters_of_its_own():
    class Shift(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.zeros(1))
            self.calls = 0

        def forward(self, student, teacher, labels):
            self.calls += 1
            return (student.logits + self.shift - teacher.logits).square().mean()

    loss = Shift()
    mutual(new_run(teacher=lambda batch: Outputs(torch.ones(len(batch.y), 2)), loss=loss), with_teacher=True)
    assert loss.calls == 2 * 6 and loss.shift.item() != 0


def test_peers_that_start_alike_are_refused():
    with pytest.raises(ConfigError, match="same weights") as refused:
        mutual(replace(new_run(), fresh=lambda seed: tiny(0)))
    assert "student.checkpoint" in refused.value.remedy


@pytest.mark.parametrize("options", [{"peers": 1}, {"temperature": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="scheme 'mutual'"):
        mutual(new_run(), **options)
