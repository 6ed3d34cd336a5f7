"""Tests of soft targets against values worked out by hand."""

import math

import pytest
import torch

from edgekd.distillation.losses.logits import SoftTargets
from edgekd.nn.outputs import Outputs


def outputs(*rows: tuple[float, ...]) -> Outputs:
    return Outputs(torch.tensor(rows, dtype=torch.float32, requires_grad=True))


def test_the_soft_term_is_the_kl_divergence_worked_out_by_hand():
    # teacher: softmax(ln 3, 0) = (3/4, 1/4); student: (1/2, 1/2)
    loss = SoftTargets(temperature=1, hard=0)(outputs((0, 0)), outputs((math.log(3), 0)), torch.tensor([0]))
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_temperature_softens_both_and_its_square_scales_the_loss():
    # at T = 2, logits (2 ln 3, 0) give (3/4, 1/4) again
    loss = SoftTargets(temperature=2, hard=0)(outputs((0, 0)), outputs((2 * math.log(3), 0)), torch.tensor([0]))
    assert loss.item() == pytest.approx(4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)))


def test_the_hard_term_alone_is_the_cross_entropy_with_the_labels():
    loss = SoftTargets(hard=1)(outputs((math.log(3), 0), (0, 0)), outputs((9, 0), (0, 9)), torch.tensor([1, 0]))
    assert loss.item() == pytest.approx((math.log(4) + math.log(2)) / 2)


def test_the_two_terms_are_mixed_by_share():
    student, teacher, labels = outputs((0.3, -1, 2)), outputs((1, 0, -1)), torch.tensor([2])
    soft = SoftTargets(temperature=3, hard=0)(student, teacher, labels)
    hard = SoftTargets(temperature=3, hard=1)(student, teacher, labels)
    mixed = SoftTargets(temperature=3, hard=0.25)(student, teacher, labels)
    assert mixed.item() == pytest.approx(0.75 * soft.item() + 0.25 * hard.item())


def test_a_student_that_answers_as_the_teacher_pays_nothing_for_it():
    student = outputs((1, 2, 3))
    loss = SoftTargets(hard=0)(student, outputs((1, 2, 3)), torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert student.logits.grad is not None and student.logits.grad.abs().max() < 1e-6


def test_the_gradient_keeps_its_scale_as_the_temperature_rises():
    """Section 2.1 of Hinton et al.: at high T, T^2 * KL has the gradient (z - v) / N for zero-mean logits z and v."""
    z, v = outputs((0.5, -0.5, 0.2, -0.2)), outputs((1.0, 0.0, -1.0, 0.0))
    for temperature in (50.0, 200.0):
        z.logits.grad = None
        SoftTargets(temperature=temperature, hard=0)(z, v, torch.tensor([0])).backward()
        assert torch.allclose(z.logits.grad, (z.logits - v.logits).detach() / 4, atol=5e-3)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": -1}, {"hard": 1.5}, {"hard": -0.1}])
def test_values_without_meaning_are_refused(options):
    with pytest.raises(ValueError):
        SoftTargets(**options)
