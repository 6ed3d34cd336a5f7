"""Tests of stored answers: they are read by view and position, resumed by shard, and never used when damaged."""

import json
import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch
from support.small_training import Tiny, stripes

from edgekd.config import Augment, Config, Prune, Quantize
from edgekd.data.augmentation import draw
from edgekd.data.batches import Views, batch_at, batches, epoch_order
from edgekd.disk import file_sha256
from edgekd.distillation.run import network_teacher
from edgekd.distillation.teachers.answer_cache import check_space, write
from edgekd.distillation.teachers.answers import StoredAnswers, load_index, views_of
from edgekd.distillation.teachers.load import open_teacher
from edgekd.errors import ModelError, StoreError
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.outputs import Outputs
from edgekd.stages import answers as stage
from edgekd.stages import distill

SPLITS = stripes(count=48)
SHIFT = Augment(shift=1)
VIEWS = Views(seed=5, count=3)


def bright(batch):
    """Answer with the sums of the left and of the right half of each image."""
    return Outputs(torch.stack([batch.x[..., :4].sum((1, 2, 3)), batch.x[..., 4:].sum((1, 2, 3))], dim=1))


def store_answers(folder, teacher=bright, **options):
    notes = write(folder, teacher, SPLITS, VIEWS, SHIFT, shard_bytes=4 * 10, **options)
    return StoredAnswers(folder, SPLITS), notes


def in_view(view, order):
    draws = draw(48, SHIFT, 5, view)
    return batch_at(order, SPLITS.train, SPLITS, augment=SHIFT, draws=draws, view=view)


def test_stored_answers_are_those_to_the_same_view_of_the_same_samples(tmp_path):
    store, _ = store_answers(tmp_path)
    for view in (2, 0, 1):
        batch = in_view(view, np.array([5, 30, 47, 0]))
        expected = bright(batch).logits.half().float()
        assert batch in store and torch.equal(store(batch).logits, expected)
    assert not torch.equal(bright(in_view(0, np.arange(48))).logits, bright(in_view(1, np.arange(48))).logits)


def test_shards_are_bounded_and_half_precision(tmp_path):
    store_answers(tmp_path)
    shards = sorted(tmp_path.glob("*.npy"))
    assert len(shards) == 3 * 5 and load_index(tmp_path).rows == 10
    assert {np.load(shard).dtype for shard in shards} == {np.dtype(np.float16)}
    assert [len(np.load(shard)) for shard in shards[:5]] == [10, 10, 10, 10, 8]


def test_one_view_stands_for_all_where_nothing_is_augmented(tmp_path):
    write(tmp_path, bright, SPLITS, Views(0, 1), Augment(), any_view=True)
    store, batch = StoredAnswers(tmp_path, SPLITS), next(batches(SPLITS.train, SPLITS, 4, order=epoch_order(48, 0, 0)))
    assert batch.view is None and batch in store and views_of(tmp_path) is None
    assert torch.equal(store(batch).logits, bright(batch).logits.half().float())


def test_beyond_the_range_of_half_precision_answers_are_cut_off(tmp_path):
    write(tmp_path, lambda b: Outputs(torch.full((len(b.y), 2), 1e6)), SPLITS, Views(0, 1), Augment(), any_view=True)
    logits = StoredAnswers(tmp_path, SPLITS)(in_view(0, np.arange(3))).logits
    assert logits.tolist() == [[65504.0, 65504.0]] * 3


class Killed(Exception):
    """Stands in for a kill."""


def recording(teacher, calls, kill_at=None):
    def ask(batch):
        calls.append(batch.index.tolist())
        if len(calls) == kill_at:
            raise Killed
        return teacher(batch)

    return ask


def test_a_killed_run_goes_on_with_the_shards_that_are_left(tmp_path):
    first, second = [], []
    with pytest.raises(Killed):
        store_answers(tmp_path, recording(bright, first, kill_at=8))
    store, notes = store_answers(tmp_path, recording(bright, second))
    assert len(second) == 15 - 7 and notes == []
    batch = in_view(1, np.arange(48))
    assert torch.equal(store(batch).logits, bright(batch).logits.half().float())


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_damaged_shard_is_computed_again_with_a_note(tmp_path, damage):
    store_answers(tmp_path)
    shard, calls = tmp_path / "001-00002.npy", []
    contents = shard.read_bytes()
    shard.write_bytes(contents[:-8] if damage == "truncated" else contents[:-1] + bytes([contents[-1] ^ 1]))
    _, notes = store_answers(tmp_path, recording(bright, calls))
    assert calls == [list(range(20, 30))] and shard.read_bytes() == contents
    assert notes == ["001-00002.npy was damaged: its answers were computed again"]


def test_a_shard_that_was_not_finished_is_made_without_a_word(tmp_path):
    store_answers(tmp_path)
    (tmp_path / "000-00000.sha256").unlink()
    assert store_answers(tmp_path)[1] == []


def test_the_index_lists_what_every_shard_hashes_to(tmp_path):
    store_answers(tmp_path)
    hashes = load_index(tmp_path).sha256
    assert len(hashes) == 15 and all(file_sha256(tmp_path / name) == value for name, value in hashes.items())


def test_answers_that_are_not_finite_or_for_other_classes_are_refused_by_sample(tmp_path):
    def broken(batch):
        logits = bright(batch).logits
        logits[batch.index == 13] = float("nan")
        return Outputs(logits)

    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ModelError, match="training sample 13 is not finite"):
        store_answers(tmp_path, broken)
    with pytest.raises(ModelError, match=r"shape \(10, 3\), the student of shape \(10, 2\)"):
        store_answers(other, lambda b: Outputs(torch.zeros(len(b.y), 3)))


def test_a_disk_that_is_too_small_is_refused_with_the_size(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 500))
    with pytest.raises(StoreError, match=r"3 views of 48 samples take 0\.0 MB") as refused:
        store_answers(tmp_path)
    assert "distill.views=0" in refused.value.remedy
    assert check_space(tmp_path, 48, (2,), 3, stored_bytes=100) == ""


def test_large_answers_are_noted(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 10**12))
    note = check_space(tmp_path, 1_281_167, (1000,), 8)
    assert note == "the teacher's answers to 8 views of 1,281,167 samples take 20.5 GB"


def test_answers_of_other_data_are_refused(tmp_path):
    store_answers(tmp_path)
    with pytest.raises(ModelError, match="48 samples and 2 classes, where the data has 96"):
        StoredAnswers(tmp_path, stripes(count=96))


def config(**distilled):
    return Config.model_validate(
        {
            "student": {"model": "support.small_training:Tiny"},
            "distill": {"epochs": 3, "batch_size": 16, "views": 2, "baseline": False, **distilled},
            "data": {"augment": {"shift": 1}},
            "compute": {"accelerator": "cpu", "threads": 1},
        }
    )


@pytest.fixture
def folders(tmp_path):
    SPLITS.save(tmp_path / "data")
    plan = Blueprint("support.small_training:Tiny", {"width": 6})
    blueprint.save(blueprint.build(plan, seed=4), plan, tmp_path / "teacher" / "model")
    (tmp_path / "answers").mkdir()
    return {"data": tmp_path / "data", "teacher": tmp_path / "teacher", "answers": tmp_path / "answers"}


def test_the_stage_leaves_the_shards_and_their_index_alone(folders):
    metrics = stage.run(config(), folders, folders["answers"])
    assert metrics == {"views": 2, "size_bytes": 48 * 2 * 2 * 2, "skipped": False, "notes": []}
    assert sorted(f.name for f in folders["answers"].iterdir()) == ["000-00000.npy", "001-00000.npy", "answers.json"]
    assert views_of(folders["answers"]) == Views(0, 2)


ALONE = ({"criterion": "none"}, {"method": "ptq"})
LATER = ({"steps": 2, "epochs": 2}, {"epochs": 1})


@pytest.mark.parametrize(
    ("views", "epochs", "later", "stored_views"),
    [(0, 3, ALONE, 0), (8, 7, ALONE, 0), (8, 8, ALONE, 8), (2, 3, ALONE, 2), (8, 2, LATER, 0), (8, 3, LATER, 8)],
)
def test_storing_never_asks_the_teacher_more_often_than_the_loops_would(folders, views, epochs, later, stored_views):
    prune, quantize = (
        section.model_validate(options) for section, options in zip((Prune, Quantize), later, strict=True)
    )
    settings = config(views=views, epochs=epochs).model_copy(update={"prune": prune, "quantize": quantize})
    metrics = stage.run(settings, folders, folders["answers"])
    assert metrics["views"] == stored_views and metrics["skipped"] == (stored_views == 0)
    assert (views_of(folders["answers"]) is None) == (stored_views == 0)


def test_a_student_under_stored_answers_never_runs_the_teacher(folders, tmp_path):
    stage.run(config(), folders, folders["answers"])
    splits = stripes(count=48)
    teacher = open_teacher(folders["teacher"], splits, answers=folders["answers"])
    shutil.rmtree(folders["teacher"])
    draws = draw(48, SHIFT, 0, 1)
    batch = batch_at(np.arange(8), splits.train, splits, augment=SHIFT, draws=draws, view=1)
    assert teacher(batch).logits.shape == (8, 2)


def test_what_is_not_stored_is_asked_of_the_network(folders):
    stage.run(config(), folders, folders["answers"])
    teacher = open_teacher(folders["teacher"], SPLITS, answers=folders["answers"])
    plain = next(batches(SPLITS.train, SPLITS, 8))
    expected = network_teacher(blueprint.load(folders["teacher"] / "model")[0])(plain).logits
    assert plain.view is None and torch.equal(teacher(plain).logits, expected)


def test_a_student_learns_nearly_the_same_from_stored_answers_as_in_the_loop(folders, tmp_path):
    """With as many views as epochs, the images are the same and the answers differ only by float16 rounding."""
    stage.run(config(views=3), folders, folders["answers"])
    by_store, in_loop = tmp_path / "store", tmp_path / "loop"
    distill.run(config(views=3), folders, by_store)
    distill.run(config(views=0), {key: folders[key] for key in ("data", "teacher")}, in_loop)
    one, other = (blueprint.load(folder / "model")[0].state_dict() for folder in (by_store, in_loop))
    differences = [float((one[key].float() - other[key].float()).abs().max()) for key in one]
    assert 0 < max(differences) < 0.01


def test_what_a_killed_run_left_is_not_taken_for_answers(folders):
    (folders["answers"] / "000-00000.npy").write_bytes(b"half of a shard")
    stage.run(config(), folders, folders["answers"])
    assert json.loads((folders["answers"] / "answers.json").read_text())["samples"] == 48
    assert np.load(folders["answers"] / "000-00000.npy").shape == (48, 2)


def test_the_disk_is_looked_at_before_anything_trains_unless_the_store_has_the_answers(folders, monkeypatch, tmp_path):
    stage.run(config(), folders, folders["answers"])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 10))
    store = tmp_path / "store"
    shutil.copytree(folders["data"], store / "data" / "key")
    with pytest.raises(StoreError, match="2 views"):
        stage.precheck(config(), store / "data" / "key")
    shutil.copytree(folders["answers"], store / "answers" / "key")
    stage.precheck(config(), store / "data" / "key")


def test_tiny_is_not_exact_in_half_precision():
    """If its answers were exact in float16, the comparison of store and loop above would show nothing."""
    answered = network_teacher(Tiny())(next(batches(SPLITS.train, SPLITS, 8))).logits
    assert not torch.equal(answered, answered.half().float())
