"""Samples taken out of a set."""

import numpy as np
import pytest

from edgekd.tasks.division import plain, stratified


def test_division_takes_each_class_by_its_share():
    y = np.repeat([0, 1, 2], [100, 50, 10])
    left, taken = stratified(y, 32, seed=0)
    assert np.bincount(y[taken]).tolist() == [20, 10, 2]
    assert sorted([*left, *taken]) == list(range(160))


def test_division_takes_exactly_as_many_as_asked_and_leaves_one_of_each_class():
    y = np.repeat([0, 1, 2, 3], [7, 1, 5, 2])
    for count in range(12):
        left, taken = stratified(y, count, seed=count)
        assert len(taken) == count
        assert set(y[left]) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="12 of 15"):
        stratified(y, 12, seed=0)


def test_division_depends_on_its_seed_alone():
    y = np.repeat([0, 1], 50)
    np.testing.assert_array_equal(stratified(y, 20, seed=3)[1], stratified(y, 20, seed=3)[1])
    assert not np.array_equal(stratified(y, 20, seed=3)[1], stratified(y, 20, seed=4)[1])


def test_plain_division_takes_by_chance_and_leaves_one():
    y = range(10)
    left, taken = plain(y, 4, seed=0)
    assert len(taken) == 4 and sorted([*left, *taken]) == list(range(10))
    assert plain(y, 4, seed=0)[1].tolist() == taken.tolist() != plain(y, 4, seed=1)[1].tolist()
    with pytest.raises(ValueError, match="10 of 10"):
        plain(y, 10, seed=0)
