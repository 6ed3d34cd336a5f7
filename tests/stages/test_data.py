"""The data stage prepares a data set, and names each problem with it before anything is trained."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from edgekd.config import Config
from edgekd.data.splits import Split, Splits
from edgekd.errors import ConfigError, DataError
from edgekd.stages import data as stage

X = np.random.default_rng(0).integers(0, 256, (40, 2, 4, 4)).astype(np.uint8)
Y = np.arange(40) % 4
TEST = (255 - X[:8], Y[:8])


def config(monkeypatch, answer, seed=0, **data) -> Config:
    """A config whose data set is a user's factory that returns `answer`."""
    monkeypatch.setitem(globals(), "factory", lambda: answer)
    return Config(data={"name": f"{__name__}:factory", **data}, seed=seed)


def prepared(monkeypatch, answer, **data) -> Splits:
    return stage.examine(config(monkeypatch, answer, **data)).splits


class Cubes(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return torch.from_numpy(X[index]), int(Y[index])


def test_the_stage_leaves_splits_and_counts(monkeypatch, tmp_path):
    metrics = stage.run(config(monkeypatch, {"train": (X, Y), "test": TEST}), {}, tmp_path)
    splits = Splits.load(tmp_path)
    assert (metrics["train"], metrics["validation"], metrics["test"]) == (34, 6, 8)
    assert metrics["input_shape"] == [2, 4, 4]
    assert metrics["classes"] == ["0", "1", "2", "3"]
    assert np.sum(metrics["targets"]["train"]) == 34
    assert len(splits.train) == 34
    json.dumps(metrics)


def test_validation_is_set_aside_from_train_by_class_and_seed(monkeypatch):
    answer = {"train": (X, Y), "test": TEST}
    first = prepared(monkeypatch, answer, validation=0.2)
    assert np.bincount(first.validation.y).tolist() == [2, 2, 2, 2]
    rows = {row.tobytes() for row in first.train.x} | {row.tobytes() for row in first.validation.x}
    assert rows == {row.tobytes() for row in X}
    repeated = prepared(monkeypatch, answer, validation=0.2)
    np.testing.assert_array_equal(first.validation.x, repeated.validation.x)
    other_seed = prepared(monkeypatch, answer, validation=0.2, seed=1)
    assert not np.array_equal(first.validation.x, other_seed.validation.x)


def test_a_validation_part_of_its_own_is_kept(monkeypatch):
    splits = prepared(monkeypatch, {"train": (X, Y), "validation": (X[:4], Y[:4]), "test": TEST})
    assert len(splits.train) == 40
    assert len(splits.validation) == 4


def test_a_limit_comes_after_validation_and_keeps_the_classes(monkeypatch):
    splits = prepared(monkeypatch, {"train": (X, Y), "test": TEST}, limit=8)
    assert np.bincount(splits.train.y).tolist() == [2, 2, 2, 2]
    assert len(splits.validation) == 6
    with pytest.raises(ConfigError, match=r"data\.limit = 3"):
        prepared(monkeypatch, {"train": (X, Y), "test": TEST}, limit=3)


def test_mean_and_deviation_are_those_of_the_training_split(monkeypatch):
    splits = prepared(monkeypatch, {"train": (X, Y), "test": TEST})
    scaled = splits.train.x / 255.0
    np.testing.assert_allclose(splits.mean, scaled.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(splits.std, scaled.std(axis=(0, 2, 3)))


def test_statistics_in_chunks_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr("edgekd.data.checks.CHUNK_BYTES", 100)
    test_mean_and_deviation_are_those_of_the_training_split(monkeypatch)


def test_given_statistics_are_taken_and_their_lengths_checked(monkeypatch):
    answer = {"train": (X, Y), "test": TEST}
    splits = prepared(monkeypatch, answer, mean=[0.1, 0.2], std=[0.3, 0.4])
    assert splits.mean == (0.1, 0.2)
    assert splits.std == (0.3, 0.4)
    with pytest.raises(ConfigError, match=r"data\.mean has 3 values.*2 channels"):
        prepared(monkeypatch, answer, mean=[0.1, 0.2, 0.3])
    with pytest.raises(ConfigError, match=r"data\.std"):
        prepared(monkeypatch, answer, std=[0.0, 1.0])


def test_flat_bytes_share_one_deviation_and_flat_floats_have_their_own(monkeypatch):
    flat = X.reshape(40, 32)
    splits = prepared(monkeypatch, {"train": (flat, Y), "test": (255 - flat[:8], Y[:8])})
    assert len(splits.mean) == 32
    assert len(set(splits.mean)) == len(set(splits.std)) == 1
    assert splits.std[0] == pytest.approx((splits.train.x / 255).std())
    floats = flat.astype(np.float32)
    splits = prepared(monkeypatch, {"train": (floats, Y), "test": (floats[:8] + 1, Y[:8])})
    np.testing.assert_allclose(splits.std, splits.train.x.std(axis=0, dtype=np.float64))


def test_a_constant_channel_is_not_divided_by_zero(monkeypatch):
    x = X.copy()
    x[:, 1] = 7
    examined = stage.examine(config(monkeypatch, {"train": (x, Y), "test": TEST}))
    assert examined.splits.std[1] == 1.0
    assert any("constant" in note for note in examined.notes)


def test_tensors_datasets_lists_and_finished_splits_are_all_taken(monkeypatch):
    arrays = prepared(monkeypatch, {"train": (X, Y), "test": TEST})
    tensors = (torch.from_numpy(X), torch.from_numpy(Y))
    for train in (tensors, TensorDataset(*tensors), Cubes(), list(zip(X, Y, strict=True)), Split(X, Y)):
        splits = prepared(monkeypatch, {"train": train, "test": TEST})
        np.testing.assert_array_equal(splits.train.x, arrays.train.x)
        assert splits.train.x.dtype == np.uint8
    finished = Splits(Split(X, Y), Split(X[:4], Y[:4]), Split(*TEST), tuple("abcd"), (0.5, 0.5), (0.2, 0.2))
    splits = prepared(monkeypatch, finished)
    assert splits.mean == (0.5, 0.5)
    assert splits.classes == ("a", "b", "c", "d")


def test_other_numbers_become_float32_and_whole_ones_are_noted(monkeypatch):
    for dtype in (np.float64, np.float16):
        assert (
            prepared(monkeypatch, {"train": (X.astype(dtype), Y), "test": (TEST[0].astype(dtype), Y[:8])}).scale == 1.0
        )
    integers = {"train": (X.astype(np.int64), Y), "test": (TEST[0].astype(np.int64), Y[:8])}
    examined = stage.examine(config(monkeypatch, integers))
    assert examined.splits.train.x.dtype == np.float32
    assert any("int64" in note and "uint8" in note for note in examined.notes)


def test_test_inputs_that_were_trained_on_are_noted(monkeypatch):
    examined = stage.examine(config(monkeypatch, {"train": (X, Y), "test": (X[:2], Y[:2])}))
    assert any("2 inputs of test (100.0 %) are in train too" in note for note in examined.notes)
    examined = stage.examine(config(monkeypatch, {"train": (X, Y), "test": TEST}))
    assert not any("in train too" in note for note in examined.notes)


def test_augmentation_of_what_is_no_image_is_said_to_be_off(monkeypatch):
    flat = X.reshape(40, 32)
    examined = stage.examine(config(monkeypatch, {"train": (flat, Y), "test": (255 - flat[:8], Y[:8])}))
    assert any("augmentation is off" in note for note in examined.notes)
    with pytest.raises(ConfigError, match="out of sight"):
        prepared(monkeypatch, {"train": (X, Y), "test": TEST}, augment={"shift": 4})


def test_the_root_goes_to_factories_that_take_it(monkeypatch, tmp_path):
    arguments = []

    def factory_with_root(root=None, size=1):
        arguments.append((root, size))
        return {"train": (X, Y), "test": TEST}

    monkeypatch.setitem(globals(), "factory", factory_with_root)
    stage.examine(Config(data={"name": f"{__name__}:factory", "root": tmp_path, "size": 3}))
    assert arguments == [(tmp_path, 3)]
    examined = stage.examine(config(monkeypatch, {"train": (X, Y), "test": TEST}, root=tmp_path))
    assert any("takes no root" in note for note in examined.notes)


def test_an_option_that_a_factory_must_have_is_asked_for(monkeypatch):
    monkeypatch.setitem(globals(), "factory", lambda hands: None)
    with pytest.raises(ConfigError, match=r"needs data\.hands"):
        stage.examine(Config(data={"name": f"{__name__}:factory"}))


def test_a_factory_that_fails_is_named_with_its_error(monkeypatch):
    def failing():
        raise KeyError("left_hand")

    monkeypatch.setitem(globals(), "factory", failing)
    with pytest.raises(DataError, match="factory' failed: KeyError: 'left_hand'"):
        stage.examine(Config(data={"name": f"{__name__}:factory"}))


def with_value(array: np.ndarray, position, value, dtype=None) -> np.ndarray:
    copy = array.astype(dtype or array.dtype)
    copy[position] = value
    return copy


FLOATS = X.astype(np.float32)
FLOAT_TEST = (FLOATS[:8], Y[:8])
PROBLEMS = {
    "gave nothing": None,
    "part 'validate'": {"train": (X, Y), "test": TEST, "validate": TEST},
    "no train part": {"test": TEST},
    "no test part": {"train": (X, Y)},
    "train is a ndarray": {"train": X, "test": TEST},
    "train is empty": {"train": (X[:0], Y[:0]), "test": TEST},
    "test is empty": {"train": (X, Y), "test": (X[:0], Y[:0])},
    "40 inputs and 39 labels": {"train": (X, Y[:39]), "test": TEST},
    "all samples are of one class": {"train": (X, Y * 0), "test": (X[:8], Y[:8] * 0)},
    "one-hot": {"train": (X, np.eye(4)[Y]), "test": TEST},
    "fractions": {"train": (X, Y.astype(float)), "test": TEST},
    "label -1": {"train": (X, with_value(Y, 3, -1)), "test": TEST},
    "no sample has label 4": {"train": (X, with_value(Y, 3, 9)), "test": TEST},
    "label 9, and 4 classes are named": {"train": (X, with_value(Y, 3, 9)), "test": TEST, "classes": list("abcd")},
    "no sample of class 'e'": {"train": (X, Y), "test": TEST, "classes": list("abcde")},
    "no sample of class '3'": {"train": (X[Y < 3], Y[Y < 3]), "test": TEST},
    "two classes are named 'a'": {"train": (X, Y), "test": TEST, "classes": list("abca")},
    "train: input 5 holds NaN": {"train": (with_value(FLOATS, (5, 1, 2, 3), np.nan), Y), "test": FLOAT_TEST},
    "train: input 7 holds an infinity": {"train": (with_value(FLOATS, 7, 1e39, np.float64), Y), "test": FLOAT_TEST},
    "test has inputs of shape": {"train": (X, Y), "test": (X[:8, :1], Y[:8])},
    "test has inputs of float32, and train of uint8": {"train": (X, Y), "test": FLOAT_TEST},
    "Python objects": {"train": (np.array([None] * 40), Y), "test": TEST},
    "text": {"train": (np.array([["a"]] * 40), Y), "test": TEST},
    "inputs have shape": {"train": (Y, Y), "test": (Y, Y)},
    "is no array": {"train": ([[1, 2], [3]], [0, 1]), "test": TEST},
    "for validation": {"train": (X[:4], Y[:4]), "test": TEST},
    r"train\[1\] has shape": {"train": [(X[0], 0), (X[1, :1], 1), (X[2], 0)], "test": TEST},
    r"label of train\[0\]": {"train": [(X[0], 0.5), (X[1], 1), (X[2], 0)], "test": TEST},
}


@pytest.mark.parametrize(("message", "answer"), PROBLEMS.items(), ids=PROBLEMS)
def test_each_problem_is_said_by_name_with_a_remedy(monkeypatch, message, answer):
    with pytest.raises(DataError, match=message) as error:
        prepared(monkeypatch, answer)
    assert error.value.remedy
    assert error.value.exit_code == 1
