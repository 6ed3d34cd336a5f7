"""Tests of splits: their properties, and how they are saved to a folder and loaded."""

import json

import numpy as np
import pytest

from edgekd.data.splits import Split, Splits
from edgekd.errors import StoreError


def new_splits(dtype: type = np.uint8) -> Splits:
    random = np.random.default_rng(0)

    def part(n: int) -> Split:
        return Split(random.integers(0, 255, (n, 3, 4, 5)).astype(dtype), random.integers(0, 2, n))

    return Splits(part(6), part(3), part(4), ("cat", "dog"), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_bytes_are_scaled_to_one_and_floats_are_left():
    assert new_splits(np.uint8).scale == 1 / 255
    assert new_splits(np.float32).scale == 1.0


def test_the_input_shape_leaves_out_the_samples():
    assert new_splits().input_shape == (3, 4, 5)
    assert len(new_splits().validation) == 3


@pytest.mark.parametrize("mmap", [True, False])
def test_splits_come_back_from_their_folder_as_they_were(tmp_path, mmap):
    saved = new_splits()
    saved.save(tmp_path / "new" / "folder")
    loaded = Splits.load(tmp_path / "new" / "folder", mmap=mmap)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(loaded, part).x, getattr(saved, part).x)
        np.testing.assert_array_equal(getattr(loaded, part).y, getattr(saved, part).y)
    assert (loaded.classes, loaded.mean, loaded.std) == (saved.classes, saved.mean, saved.std)
    assert isinstance(loaded.train.x, np.memmap) == mmap


def test_without_the_test_part_its_files_are_not_even_needed(tmp_path):
    new_splits().save(tmp_path)
    for file in tmp_path.glob("test_*.npy"):
        file.unlink()
    loaded = Splits.load(tmp_path, test=False)
    assert len(loaded.test) == 0 and loaded.test.x.shape == (0, 3, 4, 5)
    assert len(loaded.validation) == 3 and loaded.classes == new_splits().classes


def test_splits_saved_twice_are_the_same_bytes(tmp_path):
    new_splits().save(tmp_path / "a")
    new_splits().save(tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_damaged_folder_is_named_with_what_to_do(tmp_path):
    new_splits().save(tmp_path)
    (tmp_path / "test_x.npy").write_bytes((tmp_path / "test_x.npy").read_bytes()[:100])
    with pytest.raises(StoreError, match=str(tmp_path)):
        Splits.load(tmp_path)
    new_splits().save(tmp_path)
    (tmp_path / "splits.json").write_text(json.dumps({"classes": []}))
    with pytest.raises(StoreError) as caught:
        Splits.load(tmp_path)
    assert caught.value.remedy
