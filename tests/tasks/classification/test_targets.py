"""Labels of a data set are checked and converted, one by one and all together."""

import numpy as np
import pytest

from edgekd.errors import DataError
from edgekd.tasks.classification.targets import LABELS


@pytest.mark.parametrize("given", [2, np.int8(2), [2], np.array([2], np.uint8)])
def test_one_label_is_a_whole_number_alone_or_in_a_list_of_one(given):
    label = LABELS.one(np.asarray(given))
    assert label == 2 and label.dtype == np.int64 and label.shape == ()


@pytest.mark.parametrize("given", [2.0, [2, 3], "2", [[2]]])
def test_what_is_no_label_is_known_as_such(given):
    assert LABELS.one(np.asarray(given)) is None


def test_labels_of_any_whole_type_are_counted_in_one():
    assert LABELS.check(np.array([0, 3], np.uint8), "train").dtype == np.int64
    with pytest.raises(DataError, match=r"validation: labels are fractions \(float32\)"):
        LABELS.check(np.array([0.5], np.float32), "validation")


def test_classes_without_names_are_called_by_their_numbers():
    parts = {"train": np.array([0, 1, 2]), "test": np.array([1])}
    assert LABELS.name_classes(parts, None) == ("0", "1", "2")
    assert LABELS.name_classes(parts, ("a", "b", "c")) == ("a", "b", "c")
    with pytest.raises(DataError, match="test: there is a label 3, and 3 classes are named"):
        LABELS.name_classes({**parts, "test": np.array([3])}, ("a", "b", "c"))


def test_samples_are_counted_by_class_those_without_any_included():
    y = np.array([0, 2, 2])
    assert LABELS.summarise(y, ("a", "b", "c")) == [1, 0, 2]
    assert LABELS.strata(y) == 2
