"""Tests of token inputs: sentences in the format of SST-2, and the errors for tokens that can't be used."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.config import Config
from edgekd.data.batches import batches, normalise
from edgekd.data.checks import check_data
from edgekd.data.loading import from_mapping
from edgekd.data.sets.sst2 import sst2
from edgekd.data.splits import Split, Splits
from edgekd.errors import ConfigError, DataError
from edgekd.models.text_encoder import TextEncoder
from edgekd.pruning.groups import find, name_of
from edgekd.pruning.widths import cost_model
from edgekd.stages.data import examine
from edgekd.tasks.classification import CLASSIFICATION

TRAIN = ("A fine film\t1", "a dull , dull film\t0", "fine\t1")
DEV = ("a fine mess\t0", "film \t1")


def write_files(root: Path, train: tuple[str, ...] = TRAIN, dev: tuple[str, ...] = DEV) -> Path:
    for name, lines in (("train", train), ("dev", dev)):
        (root / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines, ""]), encoding="utf-8")
    return root


def test_words_become_tokens_by_how_often_they_stand_in_train(tmp_path):
    result = sst2(write_files(tmp_path), words=6, length=4)
    assert result["vocabulary"] == ["<padding>", "<unknown>", "a", "dull", "film", "fine"]
    x, y = result["train"]
    assert x.dtype == np.int32
    np.testing.assert_array_equal(x, [[2, 5, 4, 0], [2, 3, 1, 3], [5, 0, 0, 0]])
    np.testing.assert_array_equal(y, [1, 0, 1])
    np.testing.assert_array_equal(result["test"][0], [[2, 5, 1, 0], [4, 0, 0, 0]])


@pytest.mark.parametrize(
    ("dev", "says"), [(("no label",), r"dev\.tsv, line 2: no label"), ((), r"dev\.tsv holds no sentences")]
)
def test_a_file_that_is_not_glues_is_named_with_its_line(tmp_path, dev, says):
    with pytest.raises(DataError, match=says):
        sst2(write_files(tmp_path, dev=dev))


def test_a_vocabulary_without_room_for_words_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.words = 2"):
        sst2(write_files(tmp_path), words=2)


def tokens(low: int = 0, high: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high + 1, (8, 3))


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (tokens(high=5), "tokens go from 0 to 5, and the vocabulary has 5 words"),
        (tokens(low=-1), "tokens go from -1"),
        (tokens().astype(np.float32), "inputs are fractions"),
        (tokens()[..., None], r"tokens have shape \(8, 3, 1\)"),
    ],
)
def test_tokens_that_the_vocabulary_does_not_have_are_refused(x, says):
    y = np.arange(8) % 2
    answer = {"train": (x, y), "test": (tokens(), y), "vocabulary": list("abcde")}
    with pytest.raises(DataError, match=says):
        check_data(from_mapping(answer, "mine", CLASSIFICATION.targets), CLASSIFICATION)


def new_splits() -> Splits:
    split = Split(tokens().astype(np.int32), np.arange(8) % 2)
    return Splits(split, split, split, ("no", "yes"), (0.0,), (1.0,), tuple("abcde"))


def test_tokens_reach_the_network_as_they_are():
    splits = new_splits()
    assert normalise(splits.train.x, splits).dtype == torch.int32
    batch = next(batches(splits.train, splits, 4))
    torch.testing.assert_close(batch.x, torch.from_numpy(splits.train.x[:4]))
    assert splits.example.dtype == torch.int32
    assert splits.example.shape == (3,)


def test_the_vocabulary_is_kept_with_the_splits(tmp_path):
    new_splits().save(tmp_path)
    assert Splits.load(tmp_path).vocabulary == tuple("abcde")


def test_a_mean_of_tokens_is_a_wrong_setting(tmp_path):
    data = {"name": "sst2", "root": write_files(tmp_path, train=TRAIN * 8), "mean": [0.5]}
    with pytest.raises(ConfigError, match=r"data\.mean"):
        examine(Config(data=data))


def test_a_text_encoder_is_weighed_and_pruned_between_its_linear_layers():
    model = TextEncoder(2, [3], vocabulary=5, width=8, heads=2, layers=1, hidden=12)
    assert cost_model(model, new_splits().example).at(()).macs == 3 * (4 * 8 * 8 + 2 * 8 * 12) + 8 * 2
    assert [name_of(group) for group in find(model, new_splits().example).groups] == ["blocks.0.linear1"]
