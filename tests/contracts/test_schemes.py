"""Every scheme of the catalog: (lesson, **options) -> FitResult; the student is trained in place."""

import pytest
import torch
from toys import Tiny, lesson, stripes

from edgekd import catalog
from edgekd.config import Training
from edgekd.losses.logits import SoftTargets
from edgekd.nn.batches import batches
from edgekd.nn.fit import FitResult
from edgekd.teachers.frozen import frozen

SPLITS = stripes()


@pytest.fixture(params=catalog.SCHEMES)
def scheme(request):
    return catalog.load("scheme", request.param)


def taught(scheme, tmp_path):
    torch.manual_seed(3)
    student, teacher = Tiny(), Tiny(width=6)
    settings = Training(epochs=6, batch_size=16)
    given = lesson(student, frozen(teacher), SoftTargets(hard=0.9), SPLITS, settings, tmp_path / "training.ckpt")
    result = scheme(given)
    return student, result


def test_the_student_learns(scheme, tmp_path):
    student, result = taught(scheme, tmp_path)
    assert isinstance(result, FitResult) and len(result.losses) == result.epochs
    whole = next(batches(SPLITS.test, SPLITS, 32))
    assert (student.eval()(whole.x).argmax(1) == whole.y).float().mean() > 0.8


def test_the_same_lesson_gives_the_same_student(scheme, tmp_path):
    first, second = (taught(scheme, tmp_path / name)[0] for name in ("one", "two"))
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
