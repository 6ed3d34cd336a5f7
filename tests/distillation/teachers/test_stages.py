"""From the teacher stage to a student, with teachers that are several, or no torch module."""

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
    """Rows or columns, by the sums: right nearly always, and it takes raw pixels."""
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
def read(tmp_path):
    SPLITS.save(tmp_path / "data")
    for name in ("teacher", "answers", "distill"):
        (tmp_path / name).mkdir()
    return {name: tmp_path / name for name in ("data", "teacher", "answers")}


def through(asked_for, read, tmp_path):
    """The metrics of teacher, answers and distill."""
    distill.precheck(asked_for, read["data"])
    answers.precheck(asked_for, read["data"])
    found = [teacher.run(asked_for, read, read["teacher"]), answers.run(asked_for, read, read["answers"])]
    return [*found, distill.run(asked_for, read, tmp_path / "distill")]


def test_a_function_teaches_a_student(read, tmp_path):
    asked_for = config({"call": f"{HERE}:knowing", "input": "raw"}, distill={"epochs": 8})
    told, stored, learned = through(asked_for, read, tmp_path)
    assert told["score"] > 95 and told["validation_score"] > 95 and not told["trained"]
    assert told["parameters"] is None and told["combined"] is None and told["size_bytes"] is None
    assert stored["views"] == 2 and learned["score"] > 90
    assert open_network(read["teacher"]) is None


def test_a_file_is_copied_so_that_it_may_move(read, tmp_path):
    from edgekd.formats.onnx import write
    from edgekd.graph.capture import capture

    torch.manual_seed(0)
    net = Tiny(width=3).eval()
    file = write(capture(net, SPLITS.example), tmp_path / "net.onnx", SPLITS.classes, None)
    size = file.stat().st_size
    told = teacher.run(config({"file": str(file)}), read, read["teacher"])
    file.unlink()
    batch = next(batches(SPLITS.train, SPLITS, 4))
    with torch.no_grad():
        torch.testing.assert_close(
            load_teacher(read["teacher"], SPLITS)(batch).logits, net(batch.x), atol=1e-4, rtol=1e-4
        )
    assert told["size_bytes"] == size


def test_answers_alone_teach_under_any_augmentation_and_their_score_is_not_made_up(read, tmp_path):
    indices = SPLITS.train.y[:, None]
    np.savez(tmp_path / "outputs.npz", indices=indices, probabilities=np.full((48, 1), 0.95))
    asked_for = config({"answers": str(tmp_path / "outputs.npz")}, distill={"epochs": 8})
    told, stored, learned = through(asked_for, read, tmp_path)
    assert told["score_remedy"] == "test_logits or test_probabilities in the file of teacher.answers"
    assert told["score"] is None and told["validation_score"] is None
    assert stored["views"] == 1 and learned["score"] > 90
    assert answers_on(read["teacher"], SPLITS, "test") is None


def test_answers_to_the_test_set_are_judged(read, tmp_path):
    right, wrong = np.eye(2)[SPLITS.test.y], np.eye(2)[1 - SPLITS.validation.y]
    file = tmp_path / "outputs.npz"
    np.savez(file, logits=np.eye(2)[SPLITS.train.y], test_logits=right, validation_logits=wrong)
    told = teacher.run(config({"answers": str(file)}), read, read["teacher"])
    assert (told["score"], told["validation_score"]) == (100.0, 0.0)
    assert "chance gives" in told["notes"][-1]


def test_members_are_trained_from_as_many_seeds_and_answer_as_one(read, tmp_path):
    told, _, learned = through(config({"members": 2, "epochs": 4}), read, tmp_path)
    first, second = (blueprint.load(read["teacher"] / "parts" / str(n) / "model")[0] for n in range(2))
    assert not torch.equal(first.head.weight, second.head.weight)
    assert told["parameters"] == 2 * sum(p.numel() for p in Tiny().parameters()) and told["trained"]
    assert set(told["combined"]) == {"mean", "confidence", "validation", "geometric"} and learned["score"] > 80
    batch = next(batches(SPLITS.train, SPLITS, 5))
    with torch.no_grad():
        mean = (first.eval()(batch.x).softmax(1) + second.eval()(batch.x).softmax(1)) / 2
    torch.testing.assert_close(load_teacher(read["teacher"], SPLITS)(batch).logits.exp(), mean)
    assert not list(read["teacher"].glob("*.ckpt"))


def test_further_teachers_may_be_of_any_kind(read):
    also = [{"call": f"{HERE}:knowing", "input": "raw"}, {"model": "support.small_training:Tiny", "width": 6}]
    told = teacher.run(config({"also": also}), read, read["teacher"])
    assert [part.kind for part in parts_of(read["teacher"])] == ["network", "call", "network"]
    assert told["parameters"] is None and told["members"][1]["validation"] > 95
    by_way = {way: found["validation_score"] for way, found in told["combined"].items()}
    assert told["validation_score"] == by_way["mean"]


def test_specialists_answer_for_the_classes_that_they_know(read):
    chance = np.random.default_rng(0)
    four = stripes(count=96)
    bright = np.where(chance.random(96) < 0.5, 0, 1)
    x = np.clip(four.train.x.astype(int) // 2 + 60 * bright[:, None, None, None], 0, 255).astype(np.uint8)
    part = Split(x, (four.train.y + 2 * bright).astype(np.int64))
    splits = replace(four, train=part, validation=part, test=part, classes=("a", "b", "c", "d"))
    splits.save(read["data"])
    told = teacher.run(config({"specialists": 2, "epochs": 12}), read, read["teacher"])
    parts = parts_of(read["teacher"])
    assert [part.kind for part in parts] == ["network", "specialist", "specialist"]
    assert told["notes"] == ["specialists for {a, b}, {c, d}"] and told["score"] > 95
    batch = next(batches(splits.train, splits, 96))
    found = load_teacher(read["teacher"], splits)(batch).logits
    kept = torch.from_numpy(answers_on(read["teacher"], splits, "test"))
    torch.testing.assert_close(found, kept, atol=1e-4, rtol=1e-4)
    assert told["score"] == pytest.approx(100 * (kept.argmax(1).numpy() == part.y).mean())


def test_a_loss_that_looks_inside_is_refused_before_any_training(read, tmp_path):
    asked_for = config({"call": f"{HERE}:knowing", "input": "raw"}, distill={"losses": [{"name": "attention"}]})
    teacher.run(asked_for, read, read["teacher"])
    with pytest.raises(ConfigError, match="'attention' needs the teacher's layers"):
        distill.run(asked_for, read, tmp_path / "distill")
    assert not list((tmp_path / "distill").iterdir())


def test_a_teacher_that_does_not_fit_is_refused_before_anything_trains(read, tmp_path):
    np.savez(tmp_path / "outputs.npz", logits=np.zeros((7, 2)))
    with pytest.raises(ModelError, match="7 answers"):
        distill.precheck(config({"answers": str(tmp_path / "outputs.npz")}), read["data"])
    also = [{"call": f"{HERE}:knowing"}]
    with pytest.raises(ModelError, match="failed on inputs"):
        distill.precheck(config({"also": also}), read["data"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"teacher.file": "a.onnx", "teacher.call": "a:b"}, "teacher has file and call"),
        ({"teacher.also": [{"checkpoint": "a.pt", "answers": "a.npz"}]}, r"also\[0\] has checkpoint and answers"),
        ({"teacher.members": 2, "teacher.checkpoint": "a.pt"}, "are trained here"),
        ({"teacher.specialists": 2, "teacher.members": 2}, "specialists are for one torch model"),
        ({"teacher.call": "not a function"}, "teacher.call"),
        ({"teacher.file": "nowhere.onnx"}, "there is no nowhere.onnx"),
    ],
)
def test_teachers_that_contradict_themselves_are_refused(settings, told, monkeypatch):
    monkeypatch.setattr(resolve, "check_parts", lambda *_: None)
    with pytest.raises(ConfigError, match=told):
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


def test_pruning_and_quantising_learn_from_the_stored_answers_too(read, tmp_path, monkeypatch):
    recover = {"epochs": 2, "batch_size": 16}
    asked_for = config(prune={"keep": 0.8, "steps": 1, **recover}, quantize={"baseline": False, **recover})
    through(asked_for, read, tmp_path)
    shutil.rmtree(read["teacher"])
    read |= {"distill": tmp_path / "distill", "prune": tmp_path / "prune"}
    assert not prune.run(asked_for, read, tmp_path / "prune")["skipped"]
    assert quantize.run(asked_for, read, tmp_path / "quantize")["trained"]


@pytest.mark.parametrize("epochs_done", [1, 4])
def test_a_student_under_stored_views_ends_on_the_same_bits_however_often_it_was_killed(read, tmp_path, epochs_done):
    through(config(), read, tmp_path)
    (tmp_path / "resumed").mkdir()
    with stop_after(epochs_done):
        distill.run(config(), read, tmp_path / "resumed")
    assert distill.run(config(), read, tmp_path / "resumed")["resumed_from"] == epochs_done
    whole, resumed = (tmp_path / name / "model" / "weights.pt" for name in ("distill", "resumed"))
    assert whole.read_bytes() == resumed.read_bytes()


def test_a_killed_ensemble_goes_on_with_the_member_that_it_was_at(read, tmp_path):
    asked_for = config({"members": 2})
    whole = teacher.run(asked_for, read, tmp_path / "whole")
    with stop_after(3):
        teacher.run(asked_for, read, read["teacher"])
    resumed = teacher.run(asked_for, read, read["teacher"])
    assert resumed.pop("resumed_from") == 3 and whole.pop("resumed_from") == 0
    assert resumed == whole
    for number in "01":
        one, other = (
            place / "parts" / number / "model" / "weights.pt" for place in (tmp_path / "whole", read["teacher"])
        )
        assert one.read_bytes() == other.read_bytes()
