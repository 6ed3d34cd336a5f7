"""The teacher stage trains a teacher or loads a checkpoint, measures it, and refuses one that does not fit."""

import pytest
import torch
from support.small_training import Tiny, stripes

from edgekd.config import Config
from edgekd.errors import ConfigError, ModelError
from edgekd.nn import blueprint
from edgekd.stages import teacher


@pytest.fixture
def artifacts(tmp_path):
    stripes().save(tmp_path / "data")
    return {"data": tmp_path / "data"}


def config(augment=False, **settings):
    teacher_settings = {"model": "support.small_training:Tiny", "epochs": 8, "batch_size": 16, **settings}
    compute = {"accelerator": "cpu", "threads": 1}
    return Config.model_validate(
        {"teacher": teacher_settings, "data": {"augment": {"shift": int(augment)}}, "compute": compute}
    )


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_it_is_trained_judged_and_kept(artifacts, out):
    metrics = teacher.run(config(width=6), artifacts, out)
    assert metrics["trained"] and metrics["processes"] == 1 and metrics["notes"] == []
    assert metrics["score"] > 95 and metrics["validation_score"] > 95
    model, plan = blueprint.load(out / "model")
    assert plan.options == {"classes": 2, "input_shape": [1, 8, 8], "width": 6}
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert sorted(path.name for path in out.iterdir()) == ["model"]


def test_the_same_seed_gives_the_same_bytes(artifacts, tmp_path):
    for name in ("a", "b"):
        teacher.run(config(epochs=1), artifacts, tmp_path / name)
    first, second = (tmp_path / name / "model" / "weights.pt" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_a_checkpoint_is_taken_as_it_is(artifacts, out, tmp_path):
    checkpoint = Tiny(classes=2, width=4)
    torch.save({"state_dict": {f"module.{k}": v for k, v in checkpoint.state_dict().items()}}, tmp_path / "mine.pt")
    metrics = teacher.run(config(checkpoint=str(tmp_path / "mine.pt")), artifacts, out)
    model, _ = blueprint.load(out / "model")
    assert not metrics["trained"] and metrics["resumed_from"] == 0
    assert torch.equal(model.head.weight, checkpoint.head.weight)
    assert any("module." in note for note in metrics["notes"])


def test_a_checkpoint_no_better_than_chance_raises_a_doubt_about_its_normalisation(artifacts, out, tmp_path):
    torch.save(Tiny(classes=2, width=4).state_dict(), tmp_path / "mine.pt")
    model = Tiny(classes=2, width=4)
    torch.nn.init.zeros_(model.head.weight)
    torch.save(model.state_dict(), tmp_path / "mine.pt")
    metrics = teacher.run(config(checkpoint=str(tmp_path / "mine.pt")), artifacts, out)
    assert any("mine.pt and data.mean" in note for note in metrics["notes"])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"classes": 5}, ModelError, "2 classes"),
        ({"input_shape": [3, 8, 8]}, ModelError, r"\(1, 8, 8\)"),
        ({"checkpoint": "nowhere.pt"}, ConfigError, "nowhere.pt"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused_before_training(artifacts, out, settings, error, message):
    with pytest.raises(error, match=message):
        teacher.run(config(**settings), artifacts, out)
    assert not list(out.iterdir())
