"""Tests of batches: normalisation against values by hand, their order, and how processes share them."""

import numpy as np
import pytest
import torch

from edgekd.data.batches import batches, count_steps, epoch_order, normalise
from edgekd.data.splits import Split, Splits
from edgekd.errors import ConfigError


def new_splits(n: int = 10, shape: tuple[int, ...] = (2, 6, 6), dtype: type = np.uint8) -> Splits:
    x = np.random.default_rng(0).integers(1, 256, (n, *shape)).astype(dtype)
    split = Split(x, np.arange(n))
    channels = shape[0]
    return Splits(split, split, split, tuple(map(str, range(n))), (0.5,) * channels, (0.25,) * channels)


def test_inputs_are_normalised_channel_by_channel():
    split = Split(np.array([[[[0, 255]], [[51, 102]]]], np.uint8), np.array([0]))
    splits = Splits(split, split, split, ("a", "b"), (0.0, 0.2), (0.5, 0.1))
    expected = torch.tensor([[[[0.0, 2.0]], [[0.0, 2.0]]]])
    torch.testing.assert_close(normalise(split.x, splits), expected)
    torch.testing.assert_close(normalise(torch.from_numpy(split.x), splits), expected)


def test_floats_are_not_scaled_and_flat_inputs_have_a_mean_per_feature():
    split = Split(np.array([[1.0, 10.0], [3.0, 30.0]], np.float32), np.array([0, 1]))
    splits = Splits(split, split, split, ("a", "b"), (2.0, 20.0), (1.0, 10.0))
    torch.testing.assert_close(normalise(split.x, splits), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))


def test_normalising_leaves_the_raw_inputs_alone():
    splits = new_splits(dtype=np.float32)
    before = splits.train.x.copy()
    list(batches(splits.train, splits, 4))
    np.testing.assert_array_equal(splits.train.x, before)


def test_evaluation_sees_everything_in_order():
    splits = new_splits(10)
    result = list(batches(splits.test, splits, 4))
    assert [len(batch.x) for batch in result] == [4, 4, 2]
    assert torch.cat([batch.index for batch in result]).tolist() == list(range(10))
    assert torch.cat([batch.y for batch in result]).tolist() == list(range(10))
    torch.testing.assert_close(torch.cat([batch.x for batch in result]), normalise(splits.test.x, splits))


def test_training_follows_the_order_and_drops_the_incomplete_batch():
    splits = new_splits(10)
    order = epoch_order(10, seed=1, epoch=0)
    result = list(batches(splits.train, splits, 4, order=order))
    assert torch.cat([batch.index for batch in result]).tolist() == order[:8].tolist()
    assert len(result) == count_steps(10, 4) == 2
    for batch in result:
        torch.testing.assert_close(batch.x, normalise(splits.train.x[batch.index.numpy()], splits))


def test_a_split_smaller_than_a_batch_still_makes_a_step():
    splits = new_splits(3)
    assert [len(batch.x) for batch in batches(splits.train, splits, 64, order=np.arange(3))] == [3]
    assert count_steps(3, 64) == 1


def test_processes_share_each_batch_without_overlap():
    splits = new_splits(10)
    order = epoch_order(10, seed=0, epoch=3)
    single_process = [batch.index.tolist() for batch in batches(splits.train, splits, 4, order=order)]
    shares = [
        [batch.index.tolist() for batch in batches(splits.train, splits, 4, order=order, rank=rank, processes=2)]
        for rank in range(2)
    ]
    assert [first + second for first, second in zip(*shares, strict=True)] == single_process


def test_a_batch_that_processes_cannot_share_is_refused():
    splits = new_splits(10)
    with pytest.raises(ConfigError, match=r"4 samples.*3 processes") as caught:
        list(batches(splits.train, splits, 4, order=np.arange(10), processes=3))
    assert "multiple of 3" in caught.value.remedy


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone():
    assert sorted(epoch_order(50, 0, 0)) == list(range(50))
    np.testing.assert_array_equal(epoch_order(50, 7, 2), epoch_order(50, 7, 2))
    assert not np.array_equal(epoch_order(50, 7, 2), epoch_order(50, 7, 3))
    assert not np.array_equal(epoch_order(50, 7, 2), epoch_order(50, 8, 2))


def test_batches_of_a_memory_mapped_split_do_not_write_to_it(tmp_path):
    new_splits().save(tmp_path)
    splits = Splits.load(tmp_path, mmap=True)
    before = (tmp_path / "train_x.npy").read_bytes()
    for order in (None, np.arange(10)):
        for batch in batches(splits.train, splits, 5, order=order):
            batch.x.zero_()
    assert (tmp_path / "train_x.npy").read_bytes() == before
