"""The distill stage trains a student with and without a teacher, and resumes both trainings after a kill."""

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
    """A user-defined loss that has a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, student, teacher, labels):
        return (student.logits + self.shift - teacher.logits).square().mean()


def contrary() -> np.ndarray:
    """Return the logits of a teacher that swaps the two classes."""
    return np.where(np.eye(2)[1 - SPLITS.train.y] > 0, 6, -6).astype(np.float32)


@pytest.fixture
def artifacts(tmp_path):
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
    distill = {"epochs": 8, "batch_size": 16, **settings}
    return Config.model_validate(
        {
            "student": {"model": "support.small_training:Tiny"},
            "distill": distill,
            "data": {"augment": {"shift": 0}},
            "compute": {"accelerator": "cpu", "threads": 1},
        }
    )


def test_the_student_follows_its_teacher_and_not_the_labels():
    student = blueprint.build(Blueprint("support.small_training:Tiny"), seed=0)
    settings = Training(epochs=8, batch_size=16)
    learn(small_run(student, precomputed_teacher(contrary()), SoftTargets(hard=0), SPLITS, settings))
    test_batch = next(batches(SPLITS.test, SPLITS, 32))
    assert (student.eval()(test_batch.x).argmax(1) == 1 - test_batch.y).float().mean() > 0.9


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


def test_the_stage_leaves_the_student_and_says_what_the_teacher_was_worth(artifacts, out):
    metrics = stage.run(config(), artifacts, out)
    assert metrics["score"] > 95 and metrics["baseline_score"] > 95
    assert metrics["validation_score"] > 95 and metrics["baseline_validation_score"] > 95
    assert metrics["processes"] == 1 and metrics["notes"] == []
    assert [path.name for path in out.iterdir()] == ["model"]
    model, plan = blueprint.load(out / "model")
    assert plan.factory == "support.small_training:Tiny"
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())


def test_without_a_baseline_its_figures_are_empty(artifacts, out):
    metrics = stage.run(config(baseline=False, epochs=1), artifacts, out)
    assert metrics["baseline_score"] is None and metrics["baseline_validation_score"] is None


@pytest.mark.parametrize("calls", [1, 3, 4, 6])
def test_killed_in_student_or_baseline_it_ends_as_if_nothing_had_happened(artifacts, out, tmp_path, calls):
    uninterrupted = stage.run(config(epochs=3), artifacts, tmp_path / "whole")
    with stop_after(calls):
        stage.run(config(epochs=3), artifacts, out)
    resumed = stage.run(config(epochs=3), artifacts, out)
    assert resumed.pop("resumed_from") == calls and uninterrupted.pop("resumed_from") == 0
    assert resumed == uninterrupted
    first, second = (folder / "model" / "weights.pt" for folder in (tmp_path / "whole", out))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("calls", [1, 3, 5, 8])
def test_killed_in_any_training_of_several_seeds_it_ends_as_if_nothing_had_happened(artifacts, out, tmp_path, calls):
    """Two seeds train a student and a baseline for two epochs each, so eight states are saved."""
    uninterrupted = stage.run(config(epochs=2, seeds=2), artifacts, tmp_path / "whole")
    with stop_after(calls):
        stage.run(config(epochs=2, seeds=2), artifacts, out)
    resumed = stage.run(config(epochs=2, seeds=2), artifacts, out)
    assert resumed.pop("resumed_from") == calls and uninterrupted.pop("resumed_from") == 0
    assert resumed == uninterrupted
    # These follow the weights of all four networks to the last bit.
    calibration = uninterrupted["transfer"]["measures"][0]
    assert len({*calibration["student"]["each"], *calibration["alone"]["each"]}) == 4
    assert [path.name for path in out.iterdir()] == ["model"]


def test_the_shipped_student_is_that_of_the_configs_seed_whatever_the_others_reach(artifacts, out, tmp_path):
    three_seeds = stage.run(config(epochs=2, seeds=3), artifacts, out)
    one_seed = stage.run(config(epochs=2), artifacts, tmp_path / "one")
    first, second = (folder / "model" / "weights.pt" for folder in (out, tmp_path / "one"))
    assert first.read_bytes() == second.read_bytes()
    assert three_seeds["seeds"] == [0, 1, 2] and one_seed["seeds"] == [0]
    assert three_seeds["score"] == three_seeds["each_score"][0] == one_seed["score"]
    assert three_seeds["baseline_score"] == three_seeds["each_baseline_score"][0] == one_seed["baseline_score"]


def test_the_second_seed_is_the_training_of_a_config_with_that_seed(artifacts, out, tmp_path):
    losses = [{"name": "logits"}, {"name": "attention", "layers": ["body.2:body.2"]}]
    two_seeds = stage.run(config(epochs=2, seeds=2, losses=losses), artifacts, out)
    next_config = config(epochs=2, losses=losses).model_copy(update={"seed": 1})
    second_seed = stage.run(next_config, artifacts, tmp_path / "one")
    for name in ("score", "validation_score", "baseline_score", "baseline_validation_score"):
        assert two_seeds[f"each_{name}"][1] == second_seed[name]
    first_calibration, second_calibration = (metrics["transfer"]["measures"][0] for metrics in (two_seeds, second_seed))
    for name in ("student", "alone"):  # calibration follows the weights to the last bit
        assert first_calibration[name]["each"][1] == second_calibration[name]["each"][0]


def test_the_student_alone_can_be_given_more_epochs(artifacts, out, monkeypatch):
    epochs = []
    learn_unpatched = stage.learn
    monkeypatch.setattr(stage, "learn", lambda run: epochs.append(run.settings.epochs) or learn_unpatched(run))
    metrics = stage.run(config(epochs=1, baseline_epochs=3), artifacts, out)
    assert epochs == [3]
    assert (metrics["transfer"]["epochs"], metrics["transfer"]["baseline_epochs"]) == (1, 3)


def test_a_stream_goes_by_once_for_the_student_alone_too(artifacts, out):
    scheme = {"name": "stream", "windows": 2}
    transfer = Distillation.model_validate(stage.run(config(epochs=3, scheme=scheme), artifacts, out)["transfer"])
    assert (transfer.epochs, transfer.baseline_epochs) == (1, 1)


def test_what_was_passed_on_is_kept_with_the_stage(artifacts, out):
    transfer = Distillation.model_validate(stage.run(config(epochs=2, seeds=2), artifacts, out)["transfer"])
    assert transfer.seeds == (0, 1) and transfer.samples == 32 and transfer.losses == ("logits",)
    assert transfer.score.each == tuple(100 * round(32 * v / 100) / 32 for v in transfer.score.each)
    assert transfer.agreement is not None and len(transfer.agreement.each) == 2
    assert [row.name for row in transfer.classes] == ["rows", "columns"]
    assert [(row.student, row.teacher) for row in transfer.layers] == [("body", "body")]


def test_of_a_student_that_was_brought_along_it_is_told_too_how_like_its_teacher_it_is(artifacts, out, tmp_path):
    torch.save(blueprint.build(Blueprint("support.small_training:Tiny", {}), seed=9).state_dict(), tmp_path / "own.pt")
    settings = config(epochs=0, seeds=3)
    settings = settings.model_copy(
        update={"student": settings.student.model_copy(update={"checkpoint": tmp_path / "own.pt"})}
    )
    metrics = stage.run(settings, artifacts, out)
    transfer = Distillation.model_validate(metrics["transfer"])
    assert metrics["seeds"] == [0] and transfer.score_alone is None and transfer.baseline_epochs is None
    assert transfer.agreement is not None and transfer.gain is None


def test_a_teacher_for_other_classes_is_refused_before_training(artifacts, out):
    plan = Blueprint("support.small_training:Tiny", {"classes": 10})
    blueprint.save(blueprint.build(plan, seed=4), plan, artifacts["teacher"] / "model")
    del artifacts["answers"]
    with pytest.raises(ModelError, match=r"\(2, 10\), the student of shape \(2, 2\)"):
        stage.run(config(), artifacts, out)
    assert not list(out.iterdir())


def test_features_of_a_teacher_reach_the_loss():
    features = []

    class FeatureLoss(nn.Module):
        def forward(self, student, teacher, labels):
            features.append(set(teacher.features))
            return student.logits.square().mean()

    def teacher(batch):
        return Outputs(torch.zeros(len(batch.y), 2), {"body": batch.x})

    learn(small_run(Tiny(), teacher, FeatureLoss(), SPLITS, Training(epochs=1, batch_size=48)))
    assert features == [{"body"}] * 2


def test_a_checkpoint_is_taken_as_it_is_where_no_epoch_is_asked_for(artifacts, out, tmp_path):
    checkpoint = blueprint.build(Blueprint("support.small_training:Tiny", {}), seed=9)
    torch.save(checkpoint.state_dict(), tmp_path / "own.pt")
    settings = config(epochs=0)
    settings = settings.model_copy(
        update={"student": settings.student.model_copy(update={"checkpoint": tmp_path / "own.pt"})}
    )
    metrics = stage.run(settings, artifacts, out)
    student, _ = blueprint.load(out / "model")
    assert metrics["skipped"] and metrics["baseline_score"] is None
    assert all(torch.equal(value, student.state_dict()[name]) for name, value in checkpoint.state_dict().items())


def test_training_goes_on_from_a_students_checkpoint(artifacts, out, tmp_path):
    checkpoint = blueprint.build(Blueprint("support.small_training:Tiny", {}), seed=9)
    torch.save(checkpoint.state_dict(), tmp_path / "own.pt")
    settings = config(epochs=1, learning_rate=1e-6, baseline=False)
    settings = settings.model_copy(
        update={"student": settings.student.model_copy(update={"checkpoint": tmp_path / "own.pt"})}
    )
    stage.run(settings, artifacts, out)
    student, _ = blueprint.load(out / "model")
    assert torch.allclose(checkpoint.head.weight, student.head.weight, atol=1e-3)


def test_a_loss_that_looks_inside_is_given_the_layers_of_both(artifacts, out):
    losses = [{"name": "logits", "hard": 1.0}, {"name": "attention", "layers": ["body.2:body.2"]}]
    metrics = stage.run(config(epochs=8, losses=losses, baseline=False), artifacts, out)
    assert metrics["layers"] == {"student": ("body.2",), "teacher": ("body.2",)}
    assert metrics["score"] > 90


def test_a_layer_that_is_not_there_is_refused_with_the_right_one(artifacts, out):
    with pytest.raises(ConfigError, match=r"the teacher has no layer 'body.9'") as refused:
        stage.run(config(losses=[{"name": "attention", "layers": ["body.2:body.9"]}]), artifacts, out)
    assert "body." in refused.value.remedy


def test_what_tuning_sees_is_the_validation_score_that_the_stage_reports(artifacts, out, monkeypatch):
    stage_score = stage.run(config(epochs=3, baseline=False), artifacts, out)["validation_score"]
    watched, files, load = [], [], np.load
    monkeypatch.setattr(np, "load", lambda file, **options: files.append(file.name) or load(file, **options))
    score = setup.validation_score(
        config(epochs=3), artifacts, lambda epoch_score, epochs: watched.append((epoch_score, epochs))
    )
    assert score == stage_score
    assert [epochs for _, epochs in watched] == [1, 2]
    assert "validation_x.npy" in files and not [name for name in files if name.startswith("test")]


def test_watching_does_not_change_what_is_trained(artifacts):
    assert setup.validation_score(config(epochs=4), artifacts, lambda *_: torch.rand(3)) == setup.validation_score(
        config(epochs=4), artifacts, lambda *_: None
    )


def test_layers_to_try_are_all_pairs_and_each_alone(artifacts):
    plan = Blueprint("resnet8", blueprint.fill_options("resnet8", {}, SPLITS))
    blueprint.save(blueprint.build(plan, seed=0), plan, artifacts["teacher"] / "model")
    losses = [{"name": "logits"}, {"name": "attention"}, {"name": "attention", "layers": ["block1"]}]
    losses.append({"name": "support.small_training:ConsecutivePairs"})  # which would refuse a pair alone
    settings = config(losses=losses)
    settings = settings.model_copy(update={"student": settings.student.model_copy(update={"model": "resnet8"})})
    (choices,) = (choices_by_loss := setup.layer_choices(settings, artifacts)).values()
    assert list(choices_by_loss) == [1] and choices[0] == ["block1:block1", "block2:block2", "block3:block3"]
    assert choices[1:] == [[pair] for pair in choices[0]]
