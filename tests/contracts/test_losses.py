"""Every loss of the catalog: (student, teacher, labels) -> a finite scalar that teaches the student."""

import pytest
import torch

from edgekd import catalog
from edgekd.nn.outputs import Outputs

CLASSES = 5


def answers(count: int, scale: float = 1.0, seed: int = 0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    return Outputs((scale * torch.randn(count, CLASSES, generator=generator)).requires_grad_())


@pytest.fixture(params=catalog.LOSSES)
def loss(request):
    return catalog.load("loss", request.param)()


@pytest.mark.parametrize("count", [1, 7])
def test_it_is_a_finite_scalar(loss, count):
    value = loss(answers(count), answers(count, seed=1), torch.arange(count) % CLASSES)
    assert value.ndim == 0 and torch.isfinite(value)


def test_it_teaches_the_student(loss):
    student, teacher, labels = answers(4), answers(4, seed=1), torch.arange(4)
    first = loss(student, teacher, labels)
    first.backward()
    assert student.logits.grad is not None and student.logits.grad.abs().sum() > 0
    closer = Outputs((student.logits - 0.05 * student.logits.grad).detach())
    assert loss(closer, teacher, labels) < first


def test_confident_answers_leave_it_finite(loss):
    assert torch.isfinite(loss(answers(4, scale=1e4), answers(4, scale=1e4, seed=1), torch.arange(4)))


def test_a_batch_is_the_mean_of_its_samples(loss):
    """So that the batch size, and how processes share a batch, do not change what a step means."""
    student, teacher, labels = answers(4), answers(4, seed=1), torch.arange(4)
    singles = [
        loss(Outputs(student.logits[i : i + 1]), Outputs(teacher.logits[i : i + 1]), labels[i : i + 1])
        for i in range(4)
    ]
    assert torch.allclose(loss(student, teacher, labels), torch.stack(singles).mean(), atol=1e-6)


def test_it_gives_back_the_same_value_for_the_same_answers(loss):
    student, teacher, labels = answers(4), answers(4, seed=1), torch.arange(4)
    assert torch.equal(loss(student, teacher, labels), loss(student, teacher, labels))
