"""Tests from the teacher stage to a student, with several teachers or with one that is not a torch module."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import Tiny, stop_after, stripes

from edgekd.config import Config, resolve
from edgekd.data.batches import batches
from edgekd.data.splits import Split
from edgekd.distillation.teachers.load import answers_on, load_teacher, open_network, parts_of
from edgekd.errors import ConfigError, ModelError
from edgekd.nn import blueprint
from edgekd.pipeline import fingerprints
from edgekd.pipeline.scope import as_json
from edgekd.stages import answers, distill, prune, quantize, teacher

SPLITS = stripes(count=48)
HERE = __name__


def knowing(x):
    """A user's function on raw pixels that tells rows from columns by their sums and is nearly always right."""
    assert x.max() > 100
    rows, columns = x.mean(3).std(axis=(1, 2)), x.mean(2).std(axis=(1, 2))
    return np.stack([rows, columns], axis=1) / 4


def config(teacher=None, **sections):
    return Config.model_validate(
        {
            "teacher": {"model": "support.small_training:Tiny", "epochs": 2, "batch_size": 16, **(teacher or {})},
            "student": {"model": "support.small_training:Tiny"},
            "distill": {"epochs": 6, "views": 2, "batch_size": 16, "baseline": False, **sections.pop("distill", {})},
            "data": {"augment": {"shift": 1}},
            "compute": {"accelerator": "cpu", "threads": 1},
            **sections,
        }
    )


@pytest.fixture
def folders(tmp_path):
    SPLITS.save(tmp_path / "data")
    for name in ("teacher", "answers", "distill"):
        (tmp_path / name).mkdir()
    return {name: tmp_path / name for name in ("data", "teacher", "answers")}


def through(settings, folders, tmp_path):
    """Run the stages teacher, answers and distill, and return their metrics."""
    distill.precheck(settings, folders["data"])
    answers.precheck(settings, folders["data"])
    metrics = [teacher.run(settings, folders, folders["teacher"]), answers.run(settings, folders, folders["answers"])]
    return [*metrics, distill.run(settings, folders, tmp_path / "distill")]


def test_a_function_teaches_a_student(folders, tmp_path):
    settings = config({"call": f"{HERE}:knowing", "input": "raw"}, distill={"epochs": 8})
    teacher_metrics, answers_metrics, student_metrics = through(settings, folders, tmp_path)
    assert teacher_metrics["score"] > 95 and teacher_metrics["validation_score"] > 95 and not teacher_metrics["trained"]
    assert (
        teacher_metrics["parameters"] is None
        and teacher_metrics["combined"] is None
        and teacher_metrics["size_bytes"] is None
    )
    assert answers_metrics["views"] == 2 and student_metrics["score"] > 90
    assert open_network(folders["teacher"]) is None


def test_a_file_is_copied_so_that_it_may_move(folders, tmp_path):
    from edgekd.formats.onnx import write
    from edgekd.graph.capture import capture

    torch.manual_seed(0)
    net = Tiny(width=3).eval()
    file = write(capture(net, SPLITS.example), tmp_path / "net.onnx", SPLITS.classes, None)
    size = file.stat().st_size
    metrics = teacher.run(config({"file": str(file)}), folders, folders["teacher"])
    file.unlink()
    batch = next(batches(SPLITS.train, SPLITS, 4))
    with torch.no_grad():
        torch.testing.assert_close(
            load_teacher(folders["teacher"], SPLITS)(batch).logits, net(batch.x), atol=1e-4, rtol=1e-4
        )
    assert metrics["size_bytes"] == size


def test_answers_alone_teach_under_any_augmentation_and_their_score_is_not_made_up(folders, tmp_path):
    indices = SPLITS.train.y[:, None]
    np.savez(tmp_path / "outputs.npz", indices=indices, probabilities=np.full((48, 1), 0.95))
    settings = config({"answers": str(tmp_path / "outputs.npz")}, distill={"epochs": 8})
    teacher_metrics, answers_metrics, student_metrics = through(settings, folders, tmp_path)
    assert teacher_metrics["score_remedy"] == "test_logits or test_probabilities in the file of teacher.answers"
    assert teacher_metrics["score"] is None and teacher_metrics["validation_score"] is None
    assert answers_metrics["views"] == 1 and student_metrics["score"] > 90
    assert answers_on(folders["teacher"], SPLITS, "test") is None


def test_answers_to_the_test_set_are_judged(folders, tmp_path):
    right, wrong = np.eye(2)[SPLITS.test.y], np.eye(2)[1 - SPLITS.validation.y]
    file = tmp_path / "outputs.npz"
    np.savez(file, logits=np.eye(2)[SPLITS.train.y], test_logits=right, validation_logits=wrong)
    metrics = teacher.run(config({"answers": str(file)}), folders, folders["teacher"])
    assert (metrics["score"], metrics["validation_score"]) == (100.0, 0.0)
    assert "chance gives" in metrics["notes"][-1]


def test_members_are_trained_from_as_many_seeds_and_answer_as_one(folders, tmp_path):
    teacher_metrics, _, student_metrics = through(config({"members": 2, "epochs": 4}), folders, tmp_path)
    first, second = (blueprint.load(folders["teacher"] / "parts" / str(n) / "model")[0] for n in range(2))
    assert not torch.equal(first.head.weight, second.head.weight)
    assert (
        teacher_metrics["parameters"] == 2 * sum(p.numel() for p in Tiny().parameters()) and teacher_metrics["trained"]
    )
    assert (
        set(teacher_metrics["combined"]) == {"mean", "confidence", "validation", "geometric"}
        and student_metrics["score"] > 80
    )
    batch = next(batches(SPLITS.train, SPLITS, 5))
    with torch.no_grad():
        mean = (first.eval()(batch.x).softmax(1) + second.eval()(batch.x).softmax(1)) / 2
    torch.testing.assert_close(load_teacher(folders["teacher"], SPLITS)(batch).logits.exp(), mean)
    assert not list(folders["teacher"].glob("*.ckpt"))


def test_further_teachers_may_be_of_any_kind(folders):
    also = [{"call": f"{HERE}:knowing", "input": "raw"}, {"model": "support.small_training:Tiny", "width": 6}]
    metrics = teacher.run(config({"also": also}), folders, folders["teacher"])
    assert [part.kind for part in parts_of(folders["teacher"])] == ["network", "call", "network"]
    assert metrics["parameters"] is None and metrics["members"][1]["validation"] > 95
    scores = {combination: result["validation_score"] for combination, result in metrics["combined"].items()}
    assert metrics["validation_score"] == scores["mean"]


def test_specialists_answer_for_the_classes_that_they_know(folders):
    chance = np.random.default_rng(0)
    four = stripes(count=96)
    bright = np.where(chance.random(96) < 0.5, 0, 1)
    x = np.clip(four.train.x.astype(int) // 2 + 60 * bright[:, None, None, None], 0, 255).astype(np.uint8)
    part = Split(x, (four.train.y + 2 * bright).astype(np.int64))
    splits = replace(four, train=part, validation=part, test=part, classes=("a", "b", "c", "d"))
    splits.save(folders["data"])
    metrics = teacher.run(config({"specialists": 2, "epochs": 12}), folders, folders["teacher"])
    parts = parts_of(folders["teacher"])
    assert [part.kind for part in parts] == ["network", "specialist", "specialist"]
    assert metrics["notes"] == ["specialists for {a, b}, {c, d}"] and metrics["score"] > 95
    batch = next(batches(splits.train, splits, 96))
    logits = load_teacher(folders["teacher"], splits)(batch).logits
    test_logits = torch.from_numpy(answers_on(folders["teacher"], splits, "test"))
    torch.testing.assert_close(logits, test_logits, atol=1e-4, rtol=1e-4)
    assert metrics["score"] == pytest.approx(100 * (test_logits.argmax(1).numpy() == part.y).mean())


def test_a_loss_that_looks_inside_is_refused_before_any_training(folders, tmp_path):
    settings = config({"call": f"{HERE}:knowing", "input": "raw"}, distill={"losses": [{"name": "attention"}]})
    teacher.run(settings, folders, folders["teacher"])
    with pytest.raises(ConfigError, match="'attention' needs the teacher's layers"):
        distill.run(settings, folders, tmp_path / "distill")
    assert not list((tmp_path / "distill").iterdir())


def test_a_teacher_that_does_not_fit_is_refused_before_anything_trains(folders, tmp_path):
    np.savez(tmp_path / "outputs.npz", logits=np.zeros((7, 2)))
    with pytest.raises(ModelError, match="7 answers"):
        distill.precheck(config({"answers": str(tmp_path / "outputs.npz")}), folders["data"])
    also = [{"call": f"{HERE}:knowing"}]
    with pytest.raises(ModelError, match="failed on inputs"):
        distill.precheck(config({"also": also}), folders["data"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher.file": "a.onnx", "teacher.call": "a:b"}, "teacher has file and call"),
        ({"teacher.also": [{"checkpoint": "a.pt", "answers": "a.npz"}]}, r"also\[0\] has checkpoint and answers"),
        ({"teacher.members": 2, "teacher.checkpoint": "a.pt"}, "are trained here"),
        ({"teacher.specialists": 2, "teacher.members": 2}, "specialists are for one torch model"),
        ({"teacher.call": "not a function"}, "teacher.call"),
        ({"teacher.file": "nowhere.onnx"}, "there is no nowhere.onnx"),
    ],
)
def test_teachers_that_contradict_themselves_are_refused(settings, message, monkeypatch):
    monkeypatch.setattr(resolve, "check_parts", lambda *_: None)
    with pytest.raises(ConfigError, match=message):
        resolve.configure("rpi4", settings=settings)


def test_a_key_has_what_a_file_holds_and_not_where_it_lies(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"one")
    (tmp_path / "b.onnx").write_bytes(b"one")
    (tmp_path / "c.onnx").write_bytes(b"two")
    prints = [
        json.dumps(as_json(config({"also": [{"file": str(tmp_path / f"{name}.onnx")}]}), ("teacher",))) for name in "ab"
    ]
    assert prints[0] == prints[1] and str(tmp_path) not in prints[0]
    one, other = (fingerprints.teacher(config({"file": str(tmp_path / f"{name}.onnx")})) for name in "ac")
    assert one["teacher.file"] != other["teacher.file"]
    assert f"{HERE}:knowing" in fingerprints.teacher(config({"call": f"{HERE}:knowing"}))


def test_pruning_and_quantising_learn_from_the_stored_answers_too(folders, tmp_path, monkeypatch):
    recover = {"epochs": 2, "batch_size": 16}
    settings = config(prune={"keep": 0.8, "steps": 1, **recover}, quantize={"baseline": False, **recover})
    through(settings, folders, tmp_path)
    shutil.rmtree(folders["teacher"])
    folders |= {"distill": tmp_path / "distill", "prune": tmp_path / "prune"}
    assert not prune.run(settings, folders, tmp_path / "prune")["skipped"]
    assert quantize.run(settings, folders, tmp_path / "quantize")["trained"]


@pytest.mark.parametrize("epochs_done", [1, 4])
def test_a_student_under_stored_views_ends_on_the_same_bits_however_often_it_was_killed(folders, tmp_path, epochs_done):
    through(config(), folders, tmp_path)
    (tmp_path / "resumed").mkdir()
    with stop_after(epochs_done):
        distill.run(config(), folders, tmp_path / "resumed")
    assert distill.run(config(), folders, tmp_path / "resumed")["resumed_from"] == epochs_done
    uninterrupted, resumed = (tmp_path / name / "model" / "weights.pt" for name in ("distill", "resumed"))
    assert uninterrupted.read_bytes() == resumed.read_bytes()


def test_a_killed_ensemble_goes_on_with_the_member_that_it_was_at(folders, tmp_path):
    settings = config({"members": 2})
    uninterrupted = teacher.run(settings, folders, tmp_path / "whole")
    with stop_after(3):
        teacher.run(settings, folders, folders["teacher"])
    resumed = teacher.run(settings, folders, folders["teacher"])
    assert resumed.pop("resumed_from") == 3 and uninterrupted.pop("resumed_from") == 0
    assert resumed == uninterrupted
    for number in "01":
        one, other = (
            place / "parts" / number / "model" / "weights.pt" for place in (tmp_path / "whole", folders["teacher"])
        )
        assert one.read_bytes() == other.read_bytes()
