"""Tests of specialists: their clusters, their training data, and how their answers join those of the generalist."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import Tiny, stripes

from edgekd.data.splits import Split
from edgekd.distillation.teachers import specialists


def test_classes_that_are_predicted_together_make_a_cluster():
    """Classes 0 and 3 are confused with each other, 1 and 2 likewise, and 4 with no other."""
    pairs = {0: (0, 3), 3: (0, 3), 1: (1, 2), 2: (1, 2), 4: (4,)}
    chance = np.random.default_rng(0)
    logits = np.full((200, 5), -6.0)
    for row in range(200):
        share = chance.uniform(0, 3, 2)
        for place, label in enumerate(pairs[row % 5]):
            logits[row, label] = 4 + share[place]
    assert specialists.clusters(logits, 3, seed=0) == [[0, 3], [1, 2]]


def test_all_classes_are_no_cluster():
    logits = np.random.default_rng(0).normal(size=(50, 4))
    assert specialists.clusters(logits, 1, seed=0) == []


def five_classes():
    y = np.repeat(np.arange(5), 20)
    split = Split(np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1), y)
    return replace(stripes(8), train=split, validation=split, test=split, classes=tuple("abcde"))


def test_a_specialist_trains_on_its_classes_and_as_many_others():
    run, correction = specialists.specialist_splits(five_classes(), [3, 1], seed=0)
    split = run.train
    own = {1: 1, 3: 0}
    assert len(split) == 80 and (split.y == 2).sum() == 40 and run.classes == ("d", "b", "others")
    for x, y in zip(split.x[:, 0, 0, 0].astype(int), split.y, strict=True):
        assert y == own.get(x // 20, 2)
    assert correction == pytest.approx(math.log(60 / 40))
    assert (run.test.y == 2).sum() == 60 and len(run.test) == 100


def test_it_starts_from_the_generalist_but_for_the_classifier():
    generalist, specialist = Tiny(classes=5), Tiny(classes=3)
    before = specialist.head.weight.clone()
    specialists.start_from(specialist, generalist)
    assert torch.equal(specialist.body[0].weight, generalist.body[0].weight)
    assert torch.equal(specialist.head.weight, before)


def test_the_specialist_of_the_likeliest_class_is_asked_and_no_other():
    generalist = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]])
    expert = torch.tensor([[0.1, 0.6, 0.3]] * 2)  # of classes 0 and 1, and the dustbin
    combined = specialists.combine_logits(generalist.log() + 2, [expert.log()], [[0, 1]]).exp()
    torch.testing.assert_close(combined[1], generalist[1])
    by_hand = [(0.4 + 0.1) / 2, (0.3 + 0.6) / 2, (0.2 + 0.3 * 2 / 3) / 2, (0.1 + 0.3 / 3) / 2]
    torch.testing.assert_close(combined[0], torch.tensor(by_hand))


def test_the_closed_form_is_the_minimum_that_the_paper_descends_to():
    """Equation 5 is KL(generalist, q) + KL(specialist, q), where the specialist's dustbin has all other classes."""
    p, expert = torch.tensor([0.35, 0.25, 0.3, 0.1]), torch.tensor([0.2, 0.5, 0.3])
    z = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.LBFGS([z], lr=0.5, max_iter=200, tolerance_grad=1e-9)

    def equation_5():
        optimizer.zero_grad()
        q = torch.softmax(z, dim=0)
        merged = torch.stack([q[0], q[1], q[2] + q[3]])
        value = (p * (p / q).log()).sum() + (expert * (expert / merged).log()).sum()
        value.backward()
        return value

    optimizer.step(equation_5)
    combined = specialists.combine_logits(p.log()[None], [expert.log()[None]], [[0, 1]])[0].exp()
    torch.testing.assert_close(combined, torch.softmax(z.detach(), dim=0), atol=1e-4, rtol=1e-4)
