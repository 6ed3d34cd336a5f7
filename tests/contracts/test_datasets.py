"""Every data set of the catalog reads a small copy on disk into complete, disjoint splits that can be normalised."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd import catalog
from edgekd.config import Config
from edgekd.data.batches import batches
from edgekd.errors import ConfigError
from edgekd.stages.data import examine

RANDOM = np.random.default_rng(0)


def labels(n: int, classes: int) -> np.ndarray:
    return np.arange(n) % classes


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def idx(root: Path) -> Path:
    for part, n in (("train", 40), ("t10k", 12)):
        write_idx(root / f"{part}-images-idx3-ubyte.gz", RANDOM.integers(0, 256, (n, 6, 5)))
        write_idx(root / f"{part}-labels.idx1-ubyte", labels(n, 4))
    return root


def cifar10(root: Path) -> Path:
    (root / "batches.meta.txt").write_text("\n".join(f"thing{i}" for i in range(10)) + "\n\n")
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        rows = RANDOM.integers(0, 256, (20, 3073)).astype(np.uint8)
        rows[:, 0] = labels(20, 10)
        (root / name).write_bytes(rows.tobytes())
    return root


def images(root: Path) -> Path:
    from PIL import Image

    for part, n in (("train", 10), ("validation", 2), ("test", 4)):
        for name in ("cup", "mug"):
            (root / part / name).mkdir(parents=True)
            for number in range(n):
                pixels = RANDOM.integers(0, 256, (6, 7, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


def npz(root: Path) -> Path:
    arrays = {}
    for part, n in (("train", 30), ("test", 9)):
        arrays[f"x_{part}"] = RANDOM.normal(size=(n, 7)).astype(np.float32)
        arrays[f"y_{part}"] = labels(n, 3)
    np.savez(root / "set.npz", **arrays)
    return root / "set.npz"


def sst2(root: Path) -> Path:
    (root / "SST-2").mkdir()
    for name, n in (("train", 30), ("dev", 8)):
        lines = [f"{'a fine film' if i % 2 else 'a Poor film'} {i} \t{i % 2}" for i in range(n)]
        (root / "SST-2" / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    return root


SMALL: dict[str, Callable[[Path], Path] | None] = {
    "digits": None,
    "idx": idx,
    "cifar10": cifar10,
    "images": images,
    "npz": npz,
    "sst2": sst2,
}
TOKENS = ("sst2",)


@pytest.mark.parametrize("name", catalog.DATASETS)
def test_its_splits_are_whole_typed_and_ready_for_training(name, tmp_path):
    write = SMALL[name]
    splits = examine(Config(data={"name": name, "root": write(tmp_path) if write else None})).splits
    for split in (splits.train, splits.validation, splits.test):
        assert len(split) == len(split.x) > 0
        assert split.x.shape[1:] == splits.input_shape
        assert split.x.dtype in ((np.int32,) if name in TOKENS else (np.uint8, np.float32))
        assert split.y.dtype == np.int64
        assert split.y.min() >= 0
        assert split.y.max() < len(splits.classes)
    assert set(splits.train.y) == set(range(len(splits.classes)))
    if name in TOKENS:
        x = next(batches(splits.train, splits, 4)).x
        assert x.dtype == torch.int32
        assert x.shape == (4, *splits.input_shape)
        assert x.max() < len(splits.vocabulary)
        return
    assert len(splits.mean) == len(splits.std) == splits.input_shape[0]
    x = torch.cat([batch.x for batch in batches(splits.train, splits, 64)]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(x.mean(1), torch.zeros(len(x)), atol=1e-3, rtol=0)
    torch.testing.assert_close(x.std(1, correction=0), torch.ones(len(x)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", catalog.DATASETS)
def test_another_seed_leaves_the_test_part_as_it_was(name, tmp_path):
    write = SMALL[name]
    data = {"name": name, "root": write(tmp_path) if write else None}
    first, second = (examine(Config(data=data, seed=seed)).splits for seed in (0, 1))
    np.testing.assert_array_equal(first.test.x, second.test.x)
    np.testing.assert_array_equal(first.test.y, second.test.y)


@pytest.mark.parametrize("name", [name for name, write in SMALL.items() if write])
def test_a_root_that_is_not_there_is_a_wrong_setting(name, tmp_path):
    for root in (None, tmp_path / "mistyped"):
        with pytest.raises(ConfigError, match=r"data\.root") as caught:
            examine(Config(data={"name": name, "root": root}))
        assert caught.value.exit_code == 2
        assert "data.root" in caught.value.remedy
