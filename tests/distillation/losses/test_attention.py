"""Tests of attention transfer against numbers worked out by hand."""

import pytest
import torch

from edgekd.distillation.losses.attention import AttentionTransfer
from edgekd.nn.layers import Layer, Networks
from edgekd.nn.outputs import Outputs


def connected(ours, theirs):
    loss = AttentionTransfer()
    loss.connect(Networks(*((Layer("a", "Conv2d", tuple(x.shape[1:])),) for x in (ours, theirs)), 2, 4))
    return loss(*(Outputs(torch.zeros(len(x), 2), {"a": x}) for x in (ours, theirs)), torch.zeros(len(ours)))


def test_two_positions_by_hand():
    ours, theirs = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 2.0]], [[0.0, 1.0]]]])
    assert connected(ours, theirs).item() == pytest.approx(1.0)  # ((1 - 0)^2 + (0 - 1)^2) / 2 positions


def test_how_strong_the_teacher_is_does_not_matter():
    x = torch.rand(3, 4, 5, 5)
    assert connected(x, 7 * x).item() == pytest.approx(0, abs=1e-12)


def test_maps_of_other_sizes_are_pooled_to_the_smaller():
    small = torch.rand(2, 3, 4, 4)
    assert connected(small, small.repeat_interleave(2, 2).repeat_interleave(2, 3)).item() == pytest.approx(0, abs=1e-9)
