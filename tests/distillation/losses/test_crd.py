"""Tests of contrastive representation distillation: its estimate, worked out by hand, and its memory banks."""

import copy
import math

import pytest
import torch
from support.outputs import answers, connected, labels

from edgekd.distillation.losses.crd import ContrastiveRepresentation
from edgekd.errors import ConfigError, TrainingError

SAMPLES = 6


def pair_of(count=2, ours=3, theirs=4):
    torch.manual_seed(0)
    student, teacher = answers(None, a=torch.randn(count, ours)), answers(None, a=torch.randn(count, theirs))
    return student, teacher


def new_loss(student, teacher, **options):
    torch.manual_seed(1)
    return connected(ContrastiveRepresentation(["a"], **options), student, teacher, samples=SAMPLES)


def one_side(x, same, negatives, z, temperature, samples):
    """Compute -(log h(positive) + sum over negatives of log(1 - h)) by the definition of h, averaged over samples."""

    def h(a, b):
        e = math.exp(float(a @ b) / temperature) / z
        return e / (e + len(negatives) / samples)

    rows = [math.log(h(a, p)) + sum(math.log(1 - h(a, n)) for n in negatives) for a, p in zip(x, same, strict=True)]
    return -sum(rows) / len(rows)


def test_the_estimate_by_its_definition():
    student, teacher = pair_of()
    loss = new_loss(student, teacher, width=3, negatives=5, temperature=0.5).eval()
    torch.manual_seed(7)
    result = loss(student, teacher, labels(student)).item()
    torch.manual_seed(7)
    negatives = torch.randint(SAMPLES, (5,))
    expected = 0.0
    with torch.no_grad():
        for side, (project, outputs, bank) in enumerate(
            (
                (loss.project_student, student, loss.teacher_bank),
                (loss.project_teacher, teacher, loss.student_bank),
            )
        ):
            x = project(outputs.features["a"])
            x = x / x.norm(dim=1, keepdim=True)
            e = [math.exp(float(a @ b) / 0.5) for at, a in enumerate(x) for b in (bank[at], *bank[negatives])]
            z = sum(e) / len(e) * SAMPLES
            assert loss.log_z[side].item() == pytest.approx(math.log(z), rel=1e-5)
            expected += one_side(x, bank[:2], bank[negatives], z, 0.5, SAMPLES)
    assert result == pytest.approx(expected, rel=1e-5)


def test_training_moves_the_banks_of_the_samples_that_were_seen():
    student, teacher = pair_of()
    student.index = torch.tensor([4, 1])
    loss = new_loss(student, teacher, width=3, momentum=0.25)
    before = loss.student_bank.clone()
    loss(student, teacher, labels(student))
    with torch.no_grad():
        x = loss.project_student(student.features["a"])
        moved = 0.25 * before[[4, 1]] + 0.75 * x / x.norm(dim=1, keepdim=True)
    assert torch.allclose(loss.student_bank[[4, 1]], moved / moved.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.equal(loss.student_bank[[0, 2, 3, 5]], before[[0, 2, 3, 5]])


def test_judging_leaves_the_banks_alone():
    student, teacher = pair_of()
    loss = new_loss(student, teacher).eval()
    before = loss.teacher_bank.clone()
    loss(student, teacher, labels(student))
    assert torch.equal(loss.teacher_bank, before)


def test_a_checkpoint_keeps_banks_and_constants():
    student, teacher = pair_of()
    loss = new_loss(student, teacher)
    loss(student, teacher, labels(student))
    restored = new_loss(student, teacher)
    restored.load_state_dict(copy.deepcopy(loss.state_dict()))
    assert not restored.log_z.isnan().any()
    values = []
    for one in (loss, restored):
        torch.manual_seed(3)
        values.append(one(student, teacher, labels(student)).item())
    assert values[0] == values[1]


def test_the_constant_stays_what_the_first_batch_made_it():
    student, teacher = pair_of()
    loss = new_loss(student, teacher)
    loss(student, teacher, labels(student))
    first = loss.log_z.clone()
    loss(student, teacher, labels(student))
    assert torch.equal(loss.log_z, first)


def test_negatives_are_no_more_than_there_are_samples():
    student, teacher = pair_of()
    few, many = (new_loss(student, teacher, negatives=n).eval() for n in (SAMPLES, 16384))
    values = []
    for loss in (few, many):
        torch.manual_seed(3)
        values.append(loss(student, teacher, labels(student)).item())
    assert values[0] == values[1]


def test_maps_are_taken_as_vectors():
    student, teacher = answers(None, a=torch.randn(2, 3, 2, 2)), answers(None, a=torch.randn(2, 5))
    loss = new_loss(student, teacher)
    assert loss.project_student.in_features == 12 and torch.isfinite(loss(student, teacher, labels(student)))


def test_inputs_that_are_no_training_samples_are_refused():
    student, teacher = pair_of()
    loss = new_loss(student, teacher)
    student.index = None
    with pytest.raises(TrainingError, match="index"):
        loss(student, teacher, labels(student))


def test_a_second_pair_of_layers_asks_for_a_second_term():
    student = answers(None, a=torch.rand(2, 3), b=torch.rand(2, 3))
    with pytest.raises(ConfigError, match="one pair"):
        connected(ContrastiveRepresentation(["a", "b"]), student, student)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"momentum": 1}, {"width": 0}, {"negatives": 0}])
def test_values_without_meaning_are_refused(options):
    with pytest.raises(ValueError):
        ContrastiveRepresentation(**options)
