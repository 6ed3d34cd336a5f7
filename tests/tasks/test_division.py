"""Division of a data set draws samples out of it, plainly or by class."""

import numpy as np
import pytest

from edgekd.tasks.division import plain, stratified


def test_division_takes_each_class_by_its_share():
    y = np.repeat([0, 1, 2], [100, 50, 10])
    remaining, drawn = stratified(y, 32, seed=0)
    assert np.bincount(y[drawn]).tolist() == [20, 10, 2]
    assert sorted([*remaining, *drawn]) == list(range(160))


def test_division_takes_exactly_as_many_as_asked_and_leaves_one_of_each_class():
    y = np.repeat([0, 1, 2, 3], [7, 1, 5, 2])
    for count in range(12):
        remaining, drawn = stratified(y, count, seed=count)
        assert len(drawn) == count
        assert set(y[remaining]) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="12 of 15"):
        stratified(y, 12, seed=0)


def test_division_depends_on_its_seed_alone():
    y = np.repeat([0, 1], 50)
    np.testing.assert_array_equal(stratified(y, 20, seed=3)[1], stratified(y, 20, seed=3)[1])
    assert not np.array_equal(stratified(y, 20, seed=3)[1], stratified(y, 20, seed=4)[1])


def test_plain_division_takes_by_chance_and_leaves_one():
    y = range(10)
    remaining, drawn = plain(y, 4, seed=0)
    assert len(drawn) == 4 and sorted([*remaining, *drawn]) == list(range(10))
    assert plain(y, 4, seed=0)[1].tolist() == drawn.tolist() != plain(y, 4, seed=1)[1].tolist()
    with pytest.raises(ValueError, match="10 of 10"):
        plain(y, 10, seed=0)
