"""Tests of teachers of which only stored outputs exist: how these are read, and which are refused."""

import numpy as np
import pytest
from support.small_training import stripes

from edgekd.distillation.teachers import precomputed
from edgekd.errors import EdgekdError, ModelError

SPLITS = stripes(count=24)


def save_outputs(folder, **arrays):
    np.savez(folder / "outputs.npz", **arrays)
    return folder / "outputs.npz"


def test_stored_logits_are_taken_in_the_data_sets_order(tmp_path):
    logits = np.arange(48, dtype=np.float32).reshape(24, 2)
    file = save_outputs(tmp_path, logits=logits, test_logits=np.ones((32, 2)))
    answers = precomputed.read_answers(file, SPLITS, {})
    np.testing.assert_array_equal(answers["train"], logits)
    assert answers["test"].shape == (32, 2) and "validation" not in answers


def test_answers_to_all_training_samples_of_the_data_set_are_divided_as_it_was(tmp_path):
    positions = np.random.default_rng(0).permutation(60)
    division = {"train": positions[:24], "validation": positions[24:56], "total": np.array(60)}
    logits = np.arange(120, dtype=np.float32).reshape(60, 2)
    answers = precomputed.read_answers(save_outputs(tmp_path, logits=logits), SPLITS, division)
    np.testing.assert_array_equal(answers["train"], logits[positions[:24]])
    np.testing.assert_array_equal(answers["validation"], logits[positions[24:56]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"logits": np.zeros((23, 2))}, "23 answers for the train samples, which are 24"),
        ({"logits": np.zeros((24, 3))}, "2 classes"),
        ({"logits": np.full((24, 2), np.inf)}, "not finite"),
        ({"probabilities": np.full((24, 2), 0.9)}, "a row adds up to 1.8"),
        ({"indices": np.full((24, 1), 2), "probabilities": np.ones((24, 1))}, "go from 2 to 2; the data has 2 classes"),
        ({"indices": np.ones((24, 2), int), "probabilities": np.full((24, 2), 0.5)}, "a class twice"),
        ({"indices": np.zeros((24, 2)), "probabilities": np.zeros((24, 2))}, "do not belong together"),
        ({"indices": np.zeros((24, 1), int), "probabilities": np.full((24, 1), 1.4)}, "add up to more"),
        ({"outputs": np.zeros((24, 2))}, "has outputs, and no answers to training samples"),
        ({"logits": np.zeros((24, 2)), "test_logits": np.zeros((5, 2))}, "5 answers for the test samples"),
    ],
)
def test_stored_outputs_that_do_not_fit_are_refused(tmp_path, arrays, message):
    with pytest.raises(ModelError, match=message):
        precomputed.read_answers(save_outputs(tmp_path, **arrays), SPLITS, {})


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "outputs.npz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"can't be read as \.npz"):
        precomputed.read_answers(tmp_path / "outputs.npz", SPLITS, {})
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(EdgekdError):
        precomputed.read_answers(tmp_path / "plain.npy", SPLITS, {})
