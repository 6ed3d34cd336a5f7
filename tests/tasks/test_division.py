"""Samples taken out of a set."""

import numpy as np
import pytest

from edgekd.tasks.division import divide


def test_division_takes_each_class_by_its_share():
    y = np.repeat([0, 1, 2], [100, 50, 10])
    left, taken = divide(y, 32, seed=0)
    assert np.bincount(y[taken]).tolist() == [20, 10, 2]
    assert sorted([*left, *taken]) == list(range(160))


def test_division_takes_exactly_as_many_as_asked_and_leaves_one_of_each_class():
    y = np.repeat([0, 1, 2, 3], [7, 1, 5, 2])
    for count in range(12):
        left, taken = divide(y, count, seed=count)
        assert len(taken) == count
        assert set(y[left]) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="12 of 15"):
        divide(y, 12, seed=0)


def test_division_depends_on_its_seed_alone():
    y = np.repeat([0, 1], 50)
    np.testing.assert_array_equal(divide(y, 20, seed=3)[1], divide(y, 20, seed=3)[1])
    assert not np.array_equal(divide(y, 20, seed=3)[1], divide(y, 20, seed=4)[1])
