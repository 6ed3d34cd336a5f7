"""The store: a key for everything that matters, finished work or none, and one maker at a time."""

import errno
import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgekd import disk
from edgekd.disk import copy, write_error, writing
from edgekd.errors import StoreError
from edgekd.pipeline.store import Recipe, Store, differences

RECIPE = Recipe("teacher", 1, {"teacher": {"epochs": 3}, "seed": 0}, {"data": "ab"}, {"teacher.checkpoint": "cd"})


def finish(store: Store, recipe: Recipe = RECIPE, text: str = "weights") -> Path:
    with store.lock(recipe):
        scratch = store.open_scratch(recipe)
        (scratch / "model").mkdir(exist_ok=True)
        (scratch / "model" / "weights.txt").write_text(text)
        return store.publish(recipe, {"score": 98.5}, 1.25).folder


@pytest.mark.parametrize(
    "changed",
    [
        {"stage": "distill"},
        {"version": 2},
        {"settings": {"teacher": {"epochs": 4}, "seed": 0}},
        {"settings": {"teacher": {"epochs": 3}, "seed": 1}},
        {"inputs": {"data": "ba"}},
        {"fingerprints": {}},
    ],
)
def test_whatever_a_result_depends_on_is_in_its_key(changed: dict[str, object]) -> None:
    assert replace(RECIPE, **changed).key != RECIPE.key  # type: ignore[arg-type]


def test_the_order_in_which_settings_were_written_is_not_in_the_key() -> None:
    turned = replace(RECIPE, settings={"seed": 0, "teacher": {"epochs": 3}})
    assert turned.key == RECIPE.key
    assert len(RECIPE.key) == 16


def test_finished_work_is_found_with_its_metrics_and_its_history(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.find(RECIPE) is None
    folder = finish(store)
    artifact = store.find(RECIPE)
    assert artifact is not None
    assert artifact.folder == folder == tmp_path / "store" / "teacher" / RECIPE.key
    assert artifact.metrics == {"score": 98.5}
    record = json.loads((folder / "artifact.json").read_text())
    assert record["settings"] == {"teacher": {"epochs": 3}, "seed": 0}
    assert record["inputs"] == {"data": "ab"}
    assert record["files"]["model/weights.txt"]["size"] == 7
    assert "numpy" in record["versions"]
    assert len(record["source_hash"]) == 16


def test_work_is_nowhere_to_be_found_until_it_is_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock(RECIPE):
        (store.open_scratch(RECIPE) / "half.txt").write_text("half")
        assert store.find(RECIPE) is None
    assert not store.finished(RECIPE).exists()
    assert (store.open_scratch(RECIPE) / "half.txt").read_text() == "half", "the next try gets what the last one left"


def test_publishing_leaves_neither_scratch_nor_lock(tmp_path: Path) -> None:
    store = Store(tmp_path)
    finish(store)
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "model" / "weights.txt").unlink(), "is missing"),
        (lambda folder: (folder / "model" / "weights.txt").write_text("weight"), "6 bytes instead of 7"),
        (lambda folder: (folder / "model" / "weights.txt").write_text("weighty"), "other contents"),
        (lambda folder: (folder / "artifact.json").write_text("{"), "artifact.json can't be read"),
        (lambda folder: (folder / "artifact.json").write_text("[]"), "artifact.json can't be read"),
        (lambda folder: (folder / "artifact.json").unlink(), "artifact.json can't be read"),
    ],
)
def test_damaged_work_is_named_with_the_folder_to_remove(tmp_path: Path, damage, says: str) -> None:  # type: ignore[no-untyped-def]
    store = Store(tmp_path)
    folder = finish(store)
    damage(folder)
    with pytest.raises(StoreError) as raised:
        store.find(RECIPE)
    assert says in raised.value.what
    assert f"rm -r {folder}" in (raised.value.remedy or "")


def hold(root: Path, seconds: float) -> None:
    with Store(root).lock(RECIPE):
        (root / "held").touch()
        time.sleep(seconds)


def start_holding(root: Path, seconds: float) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=hold, args=(root, seconds))
    process.start()
    while not (root / "held").exists():
        time.sleep(0.01)
    return process


def test_a_second_maker_waits_until_the_first_is_done(tmp_path: Path) -> None:
    other = start_holding(tmp_path, 0.3)
    waited: list[str] = []
    with Store(tmp_path).lock(RECIPE, lambda: waited.append("told")):
        assert other.exitcode is not None or not other.is_alive() or (tmp_path / "held").exists()
    other.join()
    assert waited == ["told"]


def test_a_killed_maker_blocks_nobody(tmp_path: Path) -> None:
    other = start_holding(tmp_path, 60)
    other.kill()
    other.join()
    waited: list[str] = []
    with Store(tmp_path).lock(RECIPE, lambda: waited.append("told")):
        assert waited == []


def test_makers_of_different_things_do_not_wait_for_each_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock(RECIPE), store.lock(replace(RECIPE, stage="distill"), lambda: pytest.fail("it waited")):
        pass


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "can't be written"),
        (errno.EACCES, "can't be written"),
        (errno.ENOTDIR, "a file stands where a folder should"),
    ],
)
def test_a_refused_write_says_what_to_do(tmp_path: Path, number: int, says: str) -> None:
    with pytest.raises(StoreError) as raised, writing(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "weights"))
    assert says in raised.value.what
    assert "weights" in raised.value.what
    assert "--store" in (raised.value.remedy or "")


def test_other_failures_of_the_system_are_not_hidden(tmp_path: Path) -> None:
    assert write_error(OSError(errno.EINVAL, "odd"), tmp_path) is None


def test_a_store_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="a file stands"):
        Store(tmp_path / "file" / "store").open_scratch(RECIPE)


def test_a_copy_replaces_the_old_file_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, destination = tmp_path / "new", tmp_path / "out" / "model.tflite"
    source.write_text("new")
    copy(source, destination)
    assert destination.read_text() == "new"
    source.write_text("newer")
    monkeypatch.setattr(disk, "sync", lambda path: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(StoreError, match="no space"):
        copy(source, destination)
    assert destination.read_text() == "new"
    assert os.listdir(destination.parent) == ["model.tflite"]


def test_a_difference_in_versions_or_source_is_put_in_words(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = finish(store)
    artifact = store.find(RECIPE)
    assert artifact is not None
    assert differences(artifact) == ()
    record = json.loads((folder / "artifact.json").read_text())
    record["versions"]["numpy"], record["source_hash"] = "1.0", "0" * 16
    (folder / "artifact.json").write_text(json.dumps(record))
    older = store.find(RECIPE)
    assert older is not None
    first, second = differences(older)
    assert first.startswith("numpy 1.0, now ")
    assert "source" in second
