"""Tests of the losses that compare only the answers, against values worked out by hand."""

import math

import pytest
import torch
from support.outputs import answers, value
from torch.nn import functional as F

from edgekd.distillation.losses.dist import PearsonRelations
from edgekd.distillation.losses.dkd import DecoupledTargets
from edgekd.distillation.losses.labels import Labels
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.losses.standardised import StandardisedLogits

LN3 = math.log(3)


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_labels_are_the_cross_entropy_alone():
    student, teacher = answers([[LN3, 0], [0, 0]]), answers([[9, 0], [0, 9]])
    assert Labels()(student, teacher, torch.tensor([1, 0])).item() == pytest.approx((math.log(4) + math.log(2)) / 2)


def test_smoothing_spreads_a_share_of_the_label_over_all_classes():
    # p = (3/4, 1/4), label 0: 0.8 of it stays, and 0.1 goes to either class
    result = Labels(smoothing=0.2)(answers([[LN3, 0]]), answers([[0, 0]]), torch.tensor([0]))
    assert result.item() == pytest.approx(-0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4))


def test_soft_targets_need_no_labels_without_a_hard_share():
    student, teacher = answers([[0, 0, 1]]), answers([[1, 0, 0]])
    results = [SoftTargets(hard=0)(student, teacher, torch.tensor([label])).item() for label in range(3)]
    assert results[0] == results[1] == results[2] > 0


def test_standardised_logits_by_hand():
    # (1, 0) has mean 1/2 and deviation 1/2, so Z = (1, -1), and (0, 4) gives (-1, 1); at T = 2 / ln 3 they are
    # (ln 3, -ln 3) / 2 and its opposite: (3/4, 1/4) and (1/4, 3/4)
    loss = StandardisedLogits(temperature=2 / LN3)
    result = value(loss, answers([[0, 4]]), answers([[1, 0]]))
    assert result == pytest.approx((2 / LN3) ** 2 * kl((3 / 4, 1 / 4), (1 / 4, 3 / 4)), rel=1e-4)


def test_standardised_logits_leave_the_student_its_own_scale_and_level():
    z = torch.tensor([[0.3, -1.2, 2.0, 0.1]])
    assert value(StandardisedLogits(), answers(5 * z + 7), answers(z)) == pytest.approx(0, abs=1e-6)


def test_logits_that_are_all_alike_have_a_finite_gradient():
    student = answers([[2.0, 2.0, 2.0]])
    StandardisedLogits()(student, answers([[1.0, 0, 0]]), torch.tensor([0])).backward()
    assert torch.isfinite(student.logits.grad).all()


def test_decoupled_parts_by_hand():
    # at T = 2 the teacher has (1/2, 3/8, 1/8), the student (1/4, 1/4, 1/2); the label is class 0
    student = answers([[2 * math.log(x) for x in (1 / 4, 1 / 4, 1 / 2)]])
    teacher = answers([[2 * math.log(x) for x in (1 / 2, 3 / 8, 1 / 8)]])
    labelled, others = kl((1 / 2, 1 / 2), (1 / 4, 3 / 4)), kl((3 / 4, 1 / 4), (1 / 3, 2 / 3))
    result = DecoupledTargets(alpha=0.5, beta=3, temperature=2)(student, teacher, torch.tensor([0]))
    assert result.item() == pytest.approx(4 * (0.5 * labelled + 3 * others))


def test_decoupled_targets_with_a_beta_of_one_minus_p_are_soft_targets():
    student, teacher = answers([[0.2, -0.4, 1.1, 0.3]]), answers([[1.0, 0.5, -0.7, 0.2]])
    label = torch.tensor([2])
    others = 1 - teacher.logits.softmax(1)[0, 2].item()
    decoupled = DecoupledTargets(alpha=1, beta=others, temperature=1)(student, teacher, label)
    assert decoupled.item() == pytest.approx(SoftTargets(temperature=1, hard=0)(student, teacher, label).item())


def test_two_classes_have_no_others_to_compare():
    student, teacher, label = answers([[0.2, -0.4]]), answers([[1.0, 0.5]]), torch.tensor([0])
    assert DecoupledTargets(alpha=0, beta=8)(student, teacher, label).item() == pytest.approx(0, abs=1e-6)


def probabilities(rows):
    return answers(torch.tensor(rows).log())


def test_the_two_correlations_by_hand():
    # Samples: (1, 2, 5)/8 and (2, 1, 5)/8 against the same and its first two swapped. Centred, in eighths:
    # r((1,2,5), (1,2,5)) = 1; r((2,1,5), (1,2,5)) = (-2/3 * -5/3 + -5/3 * -2/3 + (7/3)^2) / (78/9) = 69/78
    student = probabilities([[1 / 8, 2 / 8, 5 / 8], [2 / 8, 1 / 8, 5 / 8]])
    teacher = probabilities([[1 / 8, 2 / 8, 5 / 8], [1 / 8, 2 / 8, 5 / 8]])
    inter = 1 - (1 + 69 / 78) / 2
    assert value(PearsonRelations(intra=0), student, teacher) == pytest.approx(inter, abs=1e-6)
    # Of classes the teacher's probabilities do not vary between the samples: no correlation, thrice
    assert value(PearsonRelations(inter=0), student, teacher) == pytest.approx(1, abs=1e-6)
    assert value(PearsonRelations(inter=2, intra=3), student, teacher) == pytest.approx(2 * inter + 3, abs=1e-5)


def test_samples_of_a_class_in_the_opposite_order_are_two_apart():
    student, teacher = probabilities([[0.6, 0.4], [0.3, 0.7]]), probabilities([[0.2, 0.8], [0.5, 0.5]])
    assert value(PearsonRelations(inter=0, intra=1), student, teacher) == pytest.approx(2, abs=1e-5)
    assert value(PearsonRelations(inter=0, intra=1, temperature=2), student, teacher) == pytest.approx(8, abs=1e-4)


def test_classes_that_hardly_ever_occur_still_correlate():
    x = torch.tensor([[9.0, 0.0, -9.0], [9.0, 1.0, -12.0], [9.0, -1.0, -10.0]])
    assert value(PearsonRelations(), answers(x), answers(x)) == pytest.approx(0, abs=1e-5)


def test_a_single_sample_has_no_relation_within_its_classes():
    student = answers([[1.0, 0.0, 2.0]])
    loss = PearsonRelations(inter=0)(student, answers([[0.0, 3.0, 1.0]]), torch.tensor([0]))
    loss.backward()
    assert loss.item() == 0 and student.logits.grad is not None


@pytest.mark.parametrize("loss", [StandardisedLogits(), DecoupledTargets(), PearsonRelations()])
def test_a_student_that_answers_as_the_teacher_has_nothing_to_learn(loss):
    x = torch.tensor([[0.2, -0.4, 1.1], [1.0, 0.5, -0.7]])
    student = answers(x)
    result = loss(student, answers(x), torch.tensor([0, 1]))
    result.backward()
    assert result.item() == pytest.approx(0, abs=1e-5) and student.logits.grad.abs().max() < 1e-4


@pytest.mark.parametrize("loss", [Labels(), StandardisedLogits(), DecoupledTargets(), PearsonRelations()])
def test_teacher_and_student_that_are_sure_of_different_classes_stay_finite(loss):
    student, teacher = answers([[1e4, 0, -1e4], [-1e4, 0, 1e4]]), answers([[-1e4, 1e4, 0], [0, 1e4, 0]])
    result = loss(student, teacher, torch.tensor([2, 1]))
    result.backward()
    assert torch.isfinite(result) and torch.isfinite(student.logits.grad).all()


def test_the_gradient_of_decoupled_targets_is_that_of_their_definition():
    """The expected gradient is computed in float64 from the probabilities, not from their logarithms."""
    z = torch.tensor([[0.2, -0.4, 1.1], [1.0, 0.5, -0.7]], dtype=torch.float64, requires_grad=True)
    v = torch.tensor([[1.0, 0.0, -1.0], [0.3, 0.1, 0.2]], dtype=torch.float64)
    student = answers(z.detach())
    DecoupledTargets()(student, answers(v), torch.tensor([0, 2])).backward()
    p, q = (z / 4).softmax(1), (v / 4).softmax(1)
    total = z.new_zeros(())
    for row, label in enumerate((0, 2)):
        rest = [c for c in range(3) if c != label]
        for weight, ours, theirs in (
            (1, torch.stack([p[row, label], p[row, rest].sum()]), torch.stack([q[row, label], q[row, rest].sum()])),
            (8, p[row, rest] / p[row, rest].sum(), q[row, rest] / q[row, rest].sum()),
        ):
            total = total + weight * F.kl_div(ours.log(), theirs, reduction="sum") * 16 / 2
    total.backward()
    assert torch.allclose(student.logits.grad.double(), z.grad, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (Labels, {"smoothing": 1.0}),
        (Labels, {"smoothing": -0.1}),
        (StandardisedLogits, {"temperature": 0}),
        (DecoupledTargets, {"temperature": -1}),
        (DecoupledTargets, {"beta": -1}),
        (PearsonRelations, {"inter": -1}),
        (PearsonRelations, {"temperature": 0}),
    ],
)
def test_values_without_meaning_are_refused(loss, options):
    with pytest.raises(ValueError):
        loss(**options)
