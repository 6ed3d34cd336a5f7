"""Every scheme of the catalog maps (distillation, **options) to a FitResult and trains the student in place."""

import inspect
from functools import partial

import pytest
import torch
from support.small_training import small_run, stop_after, stripes, tiny

from edgekd import catalog
from edgekd.catalog import signatures
from edgekd.config import Training
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import DistillationRun, network_teacher
from edgekd.training.evaluate import scores
from edgekd.training.fit import FitResult

SPLITS = stripes()
SETTINGS = Training(epochs=6, batch_size=16)
STREAM = (stripes(count=768), Training(batch_size=16, learning_rate=0.05))
OPTIONS = {
    "stream": {"windows": 6},
    "self": {"layers": ["body.1"]},
    "assistant": {"assistant": {"model": "support.small_training:Tiny", "width": 5}},
    "robust": {"steps": 3},
    "adversarial": {"width": 8},
}
"""What a scheme needs to be told on toys as small as these."""


@pytest.fixture(params=catalog.SCHEMES)
def name(request):
    return request.param


def new_run(name, tmp_path) -> DistillationRun:
    splits, settings = STREAM if name == "stream" else (SPLITS, SETTINGS)
    teacher = partial(tiny, 3, width=6)
    checkpoint = tmp_path / "training.ckpt"
    return small_run(
        tiny(2),
        network_teacher(teacher()),
        SoftTargets(hard=0.9),
        splits,
        settings,
        checkpoint,
        teacher_network=teacher,
    )


def taught(name, tmp_path):
    run = new_run(name, tmp_path)
    result = catalog.load("scheme", name)(run, **OPTIONS.get(name, {}))
    return run.student, result


def same(first, second):
    weights = second.state_dict()
    return all(torch.equal(value, weights[key]) for key, value in first.state_dict().items())


def test_it_says_what_it_does_and_takes_options_with_defaults(name):
    signature = signatures.signature("scheme", name)
    assert signature is not None and not signature.required and not signature.open_ended
    assert inspect.getdoc(catalog.load("scheme", name))


def test_the_student_learns_and_stays_the_network_that_it_was(name, tmp_path):
    student, result = taught(name, tmp_path)
    assert isinstance(result, FitResult) and len(result.losses) == result.epochs
    assert scores(student, SPLITS, title="test")["score"] > 80
    assert student.state_dict().keys() == tiny(0).state_dict().keys()
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert not any(module._forward_hooks for module in student.modules())


def test_the_same_lesson_gives_the_same_student(name, tmp_path):
    (first, one), (second, other) = (taught(name, tmp_path / folder) for folder in ("one", "two"))
    assert same(first, second) and one == other


@pytest.mark.parametrize("calls", [1, 4, -1])
def test_a_killed_one_ends_on_the_same_bits_as_an_uninterrupted_one(name, calls, tmp_path):
    student, uninterrupted = taught(name, tmp_path / "whole")
    deadline = calls if calls > 0 else uninterrupted.epochs
    with stop_after(deadline):
        taught(name, tmp_path / "killed")
    torch.rand(7)  # the state of torch's own generator must not matter
    resumed, result = taught(name, tmp_path / "killed")
    assert same(student, resumed)
    assert result.resumed_from == deadline and result.losses == uninterrupted.losses
    assert result.along_the_way == uninterrupted.along_the_way
