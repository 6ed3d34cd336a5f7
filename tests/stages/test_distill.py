"""The distill stage: a student under a teacher, the same student alone, and both resumed after a kill."""

import numpy as np
import pytest
import torch
from support.small_training import Tiny, small_run, stop_after, store_answers, stripes
from torch import nn

from edgekd.config import Config, Training
from edgekd.data.batches import batches
from edgekd.distillation import setup
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import learn, network_teacher
from edgekd.distillation.teachers.load import precomputed_teacher
from edgekd.errors import ConfigError, ModelError
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.outputs import Outputs
from edgekd.results import Distillation
from edgekd.stages import distill as stage

SPLITS = stripes()


class Shift(nn.Module):
    """A user's loss with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, student, teacher, labels):
        return (student.logits + self.shift - teacher.logits).square().mean()


def contrary() -> np.ndarray:
    """Answers of a teacher that takes each class for the other."""
    return np.where(np.eye(2)[1 - SPLITS.train.y] > 0, 6, -6).astype(np.float32)


@pytest.fixture
def read(tmp_path):
    SPLITS.save(tmp_path / "data")
    plan = Blueprint("support.small_training:Tiny", {"width": 6})
    blueprint.save(blueprint.build(plan, seed=4), plan, tmp_path / "teacher" / "model")
    answers = store_answers(-contrary(), tmp_path / "answers")
    return {"data": tmp_path / "data", "teacher": tmp_path / "teacher", "answers": answers}


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def config(**settings):
    chosen = {"epochs": 8, "batch_size": 16, **settings}
    return Config.model_validate(
        {
            "student": {"model": "support.small_training:Tiny"},
            "distill": chosen,
            "data": {"augment": {"shift": 0}},
            "compute": {"accelerator": "cpu", "threads": 1},
        }
    )


def test_the_student_follows_its_teacher_and_not_the_labels():
    student = blueprint.build(Blueprint("support.small_training:Tiny"), seed=0)
    settings = Training(epochs=8, batch_size=16)
    learn(small_run(student, precomputed_teacher(contrary()), SoftTargets(hard=0), SPLITS, settings))
    whole = next(batches(SPLITS.test, SPLITS, 32))
    assert (student.eval()(whole.x).argmax(1) == 1 - whole.y).float().mean() > 0.9


def test_a_loss_learns_with_the_student():
    loss = Shift()
    learn(small_run(Tiny(), precomputed_teacher(contrary() + 3), loss, SPLITS))
    assert loss.shift.item() != 0


def test_a_teacher_in_the_loop_answers_in_float32_and_never_learns():
    model = Tiny().train()
    teacher = network_teacher(model, "bf16")
    answers = teacher(next(batches(SPLITS.train, SPLITS, 8))).logits
    assert answers.dtype == torch.float32 and not answers.requires_grad
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_stage_leaves_the_student_and_says_what_the_teacher_was_worth(read, out):
    metrics = stage.run(config(), read, out)
    assert metrics["score"] > 95 and metrics["baseline_score"] > 95
    assert metrics["validation_score"] > 95 and metrics["baseline_validation_score"] > 95
    assert metrics["processes"] == 1 and metrics["notes"] == []
    assert [path.name for path in out.iterdir()] == ["model"]
    model, plan = blueprint.load(out / "model")
    assert plan.factory == "support.small_training:Tiny"
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())


def test_without_a_baseline_its_figures_are_empty(read, out):
    metrics = stage.run(config(baseline=False, epochs=1), read, out)
    assert metrics["baseline_score"] is None and metrics["baseline_validation_score"] is None


@pytest.mark.parametrize("calls", [1, 3, 4, 6])
def test_killed_in_student_or_baseline_it_ends_as_if_nothing_had_happened(read, out, tmp_path, calls):
    whole = stage.run(config(epochs=3), read, tmp_path / "whole")
    with stop_after(calls):
        stage.run(config(epochs=3), read, out)
    resumed = stage.run(config(epochs=3), read, out)
    assert resumed.pop("resumed_from") == calls and whole.pop("resumed_from") == 0
    assert resumed == whole
    first, second = (folder / "model" / "weights.pt" for folder in (tmp_path / "whole", out))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("calls", [1, 3, 5, 8])
def test_killed_in_any_training_of_several_seeds_it_ends_as_if_nothing_had_happened(read, out, tmp_path, calls):
    """Two seeds, of both student and baseline, two epochs each: eight states are kept."""
    whole = stage.run(config(epochs=2, seeds=2), read, tmp_path / "whole")
    with stop_after(calls):
        stage.run(config(epochs=2, seeds=2), read, out)
    resumed = stage.run(config(epochs=2, seeds=2), read, out)
    assert resumed.pop("resumed_from") == calls and whole.pop("resumed_from") == 0
    assert resumed == whole
    # These follow the weights of all four networks to the last bit.
    calibration = whole["transfer"]["measures"][0]
    assert len({*calibration["student"]["each"], *calibration["alone"]["each"]}) == 4
    assert [path.name for path in out.iterdir()] == ["model"]


def test_the_shipped_student_is_that_of_the_configs_seed_whatever_the_others_reach(read, out, tmp_path):
    several = stage.run(config(epochs=2, seeds=3), read, out)
    one = stage.run(config(epochs=2), read, tmp_path / "one")
    first, second = (folder / "model" / "weights.pt" for folder in (out, tmp_path / "one"))
    assert first.read_bytes() == second.read_bytes()
    assert several["seeds"] == [0, 1, 2] and one["seeds"] == [0]
    assert several["score"] == several["each_score"][0] == one["score"]
    assert several["baseline_score"] == several["each_baseline_score"][0] == one["baseline_score"]


def test_the_second_seed_is_the_training_of_a_config_with_that_seed(read, out, tmp_path):
    losses = [{"name": "logits"}, {"name": "attention", "layers": ["body.2:body.2"]}]
    several = stage.run(config(epochs=2, seeds=2, losses=losses), read, out)
    next_seed = config(epochs=2, losses=losses).model_copy(update={"seed": 1})
    alone = stage.run(next_seed, read, tmp_path / "one")
    for name in ("score", "validation_score", "baseline_score", "baseline_validation_score"):
        assert several[f"each_{name}"][1] == alone[name]
    calibrated, as_it_is = (found["transfer"]["measures"][0] for found in (several, alone))
    for name in ("student", "alone"):  # calibration follows the weights to the last bit
        assert calibrated[name]["each"][1] == as_it_is[name]["each"][0]


def test_the_student_alone_can_be_given_more_epochs(read, out, monkeypatch):
    asked = []
    learn_as_before = stage.learn
    monkeypatch.setattr(stage, "learn", lambda run: asked.append(run.settings.epochs) or learn_as_before(run))
    metrics = stage.run(config(epochs=1, baseline_epochs=3), read, out)
    assert asked == [3]
    assert (metrics["transfer"]["epochs"], metrics["transfer"]["baseline_epochs"]) == (1, 3)


def test_a_stream_goes_by_once_for_the_student_alone_too(read, out):
    asked = {"name": "stream", "windows": 2}
    found = Distillation.model_validate(stage.run(config(epochs=3, scheme=asked), read, out)["transfer"])
    assert (found.epochs, found.baseline_epochs) == (1, 1)


def test_what_was_passed_on_is_kept_with_the_stage(read, out):
    found = Distillation.model_validate(stage.run(config(epochs=2, seeds=2), read, out)["transfer"])
    assert found.seeds == (0, 1) and found.samples == 32 and found.losses == ("logits",)
    assert found.score.each == tuple(100 * round(32 * v / 100) / 32 for v in found.score.each)
    assert found.agreement is not None and len(found.agreement.each) == 2
    assert [row.name for row in found.classes] == ["rows", "columns"]
    assert [(row.student, row.teacher) for row in found.layers] == [("body", "body")]


def test_of_a_student_that_was_brought_along_it_is_told_too_how_like_its_teacher_it_is(read, out, tmp_path):
    torch.save(blueprint.build(Blueprint("support.small_training:Tiny", {}), seed=9).state_dict(), tmp_path / "own.pt")
    asked = config(epochs=0, seeds=3)
    asked = asked.model_copy(update={"student": asked.student.model_copy(update={"checkpoint": tmp_path / "own.pt"})})
    metrics = stage.run(asked, read, out)
    found = Distillation.model_validate(metrics["transfer"])
    assert metrics["seeds"] == [0] and found.score_alone is None and found.baseline_epochs is None
    assert found.agreement is not None and found.gain is None


def test_a_teacher_for_other_classes_is_refused_before_training(read, out):
    plan = Blueprint("support.small_training:Tiny", {"classes": 10})
    blueprint.save(blueprint.build(plan, seed=4), plan, read["teacher"] / "model")
    del read["answers"]
    with pytest.raises(ModelError, match=r"\(2, 10\), the student of shape \(2, 2\)"):
        stage.run(config(), read, out)
    assert not list(out.iterdir())


def test_features_of_a_teacher_reach_the_loss():
    seen = []

    class Looking(nn.Module):
        def forward(self, student, teacher, labels):
            seen.append(set(teacher.features))
            return student.logits.square().mean()

    def teacher(batch):
        return Outputs(torch.zeros(len(batch.y), 2), {"body": batch.x})

    learn(small_run(Tiny(), teacher, Looking(), SPLITS, Training(epochs=1, batch_size=48)))
    assert seen == [{"body"}] * 2


def test_a_checkpoint_is_taken_as_it_is_where_no_epoch_is_asked_for(read, out, tmp_path):
    given = blueprint.build(Blueprint("support.small_training:Tiny", {}), seed=9)
    torch.save(given.state_dict(), tmp_path / "own.pt")
    asked = config(epochs=0)
    asked = asked.model_copy(update={"student": asked.student.model_copy(update={"checkpoint": tmp_path / "own.pt"})})
    metrics = stage.run(asked, read, out)
    kept, _ = blueprint.load(out / "model")
    assert metrics["skipped"] and metrics["baseline_score"] is None
    assert all(torch.equal(value, kept.state_dict()[name]) for name, value in given.state_dict().items())


def test_training_goes_on_from_a_students_checkpoint(read, out, tmp_path):
    given = blueprint.build(Blueprint("support.small_training:Tiny", {}), seed=9)
    torch.save(given.state_dict(), tmp_path / "own.pt")
    asked = config(epochs=1, learning_rate=1e-6, baseline=False)
    asked = asked.model_copy(update={"student": asked.student.model_copy(update={"checkpoint": tmp_path / "own.pt"})})
    stage.run(asked, read, out)
    kept, _ = blueprint.load(out / "model")
    assert torch.allclose(given.head.weight, kept.head.weight, atol=1e-3)


def test_a_loss_that_looks_inside_is_given_the_layers_of_both(read, out):
    losses = [{"name": "logits", "hard": 1.0}, {"name": "attention", "layers": ["body.2:body.2"]}]
    metrics = stage.run(config(epochs=8, losses=losses, baseline=False), read, out)
    assert metrics["layers"] == {"student": ("body.2",), "teacher": ("body.2",)}
    assert metrics["score"] > 90


def test_a_layer_that_is_not_there_is_refused_with_the_right_one(read, out):
    with pytest.raises(ConfigError, match=r"the teacher has no layer 'body.9'") as refused:
        stage.run(config(losses=[{"name": "attention", "layers": ["body.2:body.9"]}]), read, out)
    assert "body." in refused.value.remedy


def test_what_tuning_sees_is_the_validation_score_that_the_stage_reports(read, out, monkeypatch):
    reported = stage.run(config(epochs=3, baseline=False), read, out)["validation_score"]
    seen, opened, load = [], [], np.load
    monkeypatch.setattr(np, "load", lambda file, **how: opened.append(file.name) or load(file, **how))
    found = setup.validation_score(config(epochs=3), read, lambda score, epochs: seen.append((score, epochs)))
    assert found == reported
    assert [epochs for _, epochs in seen] == [1, 2]
    assert "validation_x.npy" in opened and not [name for name in opened if name.startswith("test")]


def test_watching_does_not_change_what_is_trained(read):
    assert setup.validation_score(config(epochs=4), read, lambda *_: torch.rand(3)) == setup.validation_score(
        config(epochs=4), read, lambda *_: None
    )


def test_layers_to_try_are_all_pairs_and_each_alone(read):
    plan = Blueprint("resnet8", blueprint.fill_options("resnet8", {}, SPLITS))
    blueprint.save(blueprint.build(plan, seed=0), plan, read["teacher"] / "model")
    losses = [{"name": "logits"}, {"name": "attention"}, {"name": "attention", "layers": ["block1"]}]
    losses.append({"name": "support.small_training:ConsecutivePairs"})  # which would refuse a pair alone
    asked = config(losses=losses)
    asked = asked.model_copy(update={"student": asked.student.model_copy(update={"model": "resnet8"})})
    (choices,) = (found := setup.layer_choices(asked, read)).values()
    assert list(found) == [1] and choices[0] == ["block1:block1", "block2:block2", "block3:block3"]
    assert choices[1:] == [[pair] for pair in choices[0]]
