"""Tests of the losses about relations between samples, against values worked out by hand."""

import math

import pytest
import torch
from support.outputs import answers, connected, value

from edgekd.distillation.losses.correlation import CorrelationCongruence
from edgekd.distillation.losses.rkd import RelationalDistances
from edgekd.distillation.losses.similarity import SimilarityPreserving

ON_A_LINE = [[0.0], [1.0], [3.0]]


def relation_loss(loss, ours, theirs):
    student, teacher = answers(None, a=ours, head=torch.zeros(len(ours), 2)), answers(None, a=theirs)
    teacher.features["head"] = torch.zeros(len(theirs), 2)
    return value(connected(loss, student, teacher), student, teacher)


def test_distances_are_compared_as_shares_of_their_mean():
    # Points 0, 1, 3 have distances 1, 2, 3 and mean 2: 1/2, 1, 3/2; the teacher's 0, 2, 3 have 2, 1, 3: 1, 1/2, 3/2.
    # Huber: 1/2 * (1/2)^2 for two of three pairs, each counted twice among 9
    distances = RelationalDistances(distance=1, angle=0)
    assert relation_loss(distances, ON_A_LINE, [[0.0], [2.0], [3.0]]) == pytest.approx(2 * 2 * 0.125 / 9)


def test_scale_place_and_width_do_not_matter_to_relations():
    x = torch.rand(5, 3)
    transformed = torch.cat([7 * x + 2, torch.ones(5, 4)], dim=1)
    assert relation_loss(RelationalDistances(), x, transformed) == pytest.approx(0, abs=1e-6)


def test_angles_by_hand():
    # A right angle at the first of (0,0), (1,0), (0,1) and 45 degrees at the others; on a line there are 0 and 180:
    # of (0), (1), (-1) the cosine at the first is -1, and 1 at the others.
    angles = RelationalDistances(distance=0, angle=1)
    right, line = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[0.0], [1.0], [-1.0]]
    at_first, at_others = 1 - 0.5, 0.5 * (1 - math.sqrt(0.5)) ** 2  # huber(0 - (-1)), huber(sqrt(1/2) - 1)
    assert relation_loss(angles, right, line) == pytest.approx((2 * at_first + 4 * at_others) / 27)


def test_the_two_relations_add_up_by_their_weights():
    theirs = [[0.0], [2.0], [3.0]]
    weights = ((25, 0), (0, 50), (25, 50))
    parts = (relation_loss(RelationalDistances(distance=d, angle=a), ON_A_LINE, theirs) for d, a in weights)
    distance, angle, both = parts
    assert both == pytest.approx(distance + angle)


def test_samples_that_coincide_do_not_blow_the_gradient_up():
    ours = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]])
    student, teacher = answers(None, a=ours, head=ours), answers(None, a=torch.rand(3, 4), head=ours)
    connected(RelationalDistances(), student, teacher)(student, teacher, None).backward()
    assert student.features["a"].grad.abs().max() < 100


def test_similarity_by_hand():
    # Ours: rows (1, 0) and (0, 1), so G = I. Theirs: (1, 0) and (1, 1), so A A^T = (1 1; 1 2), its rows of length 1
    # (1, 1) / sqrt 2 and (1, 2) / sqrt 5.
    squares = (1 - 0.5**0.5) ** 2 + 0.5 + 1 / 5 + (1 - 2 / 5**0.5) ** 2
    loss = SimilarityPreserving(layers=["a"])
    assert relation_loss(loss, [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]) == pytest.approx(squares / 4)


def test_similarity_takes_maps_of_any_size():
    small = torch.rand(4, 2, 3, 3)
    large = small.repeat(1, 2, 1, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert relation_loss(SimilarityPreserving(layers=["a"]), small, large) == pytest.approx(0, abs=1e-9)


def test_similarity_looks_at_the_last_layers_unless_told():
    maps = {name: torch.rand(2, 3, size, size) for name, size in (("a", 8), ("b", 4), ("c", 2))}
    outputs = answers(None, **maps)
    assert [p.student.name for p in connected(SimilarityPreserving(), outputs, outputs).pairs] == ["c"]


@pytest.mark.parametrize(("order", "kernel"), [(1, (1 + 0.8 * 0.6)), (2, (1 + 0.8 * 0.6 + 0.32 * 0.36))])
def test_the_kernel_of_congruence_by_hand(order, kernel):
    # Ours at a cosine of 0.6, theirs at 0: the two pairs differ by exp(-0.8) * (expansion at 0.6 - 1)
    loss = CorrelationCongruence(order=order)
    expected = 2 * (math.exp(-0.8) * (kernel - 1)) ** 2 / 4
    assert relation_loss(loss, [[1.0, 0.0], [3.0, 4.0]], [[0.0, 5.0], [1.0, 0.0]]) == pytest.approx(expected)


def test_the_expansion_comes_close_to_the_gaussian_kernel():
    loss, x = CorrelationCongruence(gamma=0.4, order=8), torch.randn(6, 4)
    unit = x / x.norm(dim=1, keepdim=True)
    assert torch.allclose(loss._kernel(x), torch.exp(-0.4 * torch.cdist(unit, unit) ** 2), atol=1e-4)


@pytest.mark.parametrize("loss", [RelationalDistances(), SimilarityPreserving(["a"]), CorrelationCongruence()])
def test_a_single_sample_has_no_relations(loss):
    assert relation_loss(loss, torch.rand(1, 4), torch.rand(1, 6)) == 0


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (RelationalDistances, {"distance": -1}),
        (RelationalDistances, {"distance": 0, "angle": 0}),
        (CorrelationCongruence, {"gamma": 0}),
        (CorrelationCongruence, {"order": 0}),
    ],
)
def test_values_without_meaning_are_refused(loss, options):
    with pytest.raises(ValueError):
        loss(**options)
