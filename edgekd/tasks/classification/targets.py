"""Checks the labels of a data set, and names and counts their classes."""

from collections.abc import Mapping

import numpy as np

from edgekd.errors import DataError
from edgekd.tasks.division import stratified
from edgekd.tasks.task import Array, Classes, Targets
from edgekd.tasks.words import describe_dtype


def label(value: Array) -> Array | None:
    """Return one label of a torch Dataset, a scalar or a list of one; None where it is no class index."""
    if value.shape not in ((), (1,)) or value.dtype.kind not in "iu":
        return None
    return value.reshape(()).astype(np.int64)


def check_labels(y: Array, part: str) -> Array:
    """Return class indices (N,), int64; DataError where the labels are no class indices.

    Args:
        part: the part of the data set, for errors.
    """
    if y.ndim == 2 and y.shape[1] > 1:
        raise DataError(f"{part}: labels have shape {y.shape}, as if one-hot", "class indices: y.argmax(axis=1)")
    if y.ndim != 1:
        raise DataError(f"{part}: labels have shape {y.shape}, not (N,)", "one class index per sample: y.reshape(-1)")
    if y.dtype.kind not in "iub":
        raise DataError(
            f"{part}: labels are {describe_dtype(y.dtype)}, not class indices", "whole numbers 0, 1, ...: y.astype(int)"
        )
    if len(y) and int(y.min()) < 0:
        raise DataError(f"{part}: there is a label {int(y.min())}, and classes count from 0", "labels 0, 1, ...")
    return y.astype(np.int64)


def name_classes(labels: Mapping[str, Array], names: Classes | None) -> Classes:
    """Return the names of the classes, "0", "1", ... where the data set has none.

    Args:
        labels: part -> class indices, (N,).

    Raises:
        DataError: names and labels disagree, or a class has no training sample.
    """
    highest = max(int(y.max()) for y in labels.values())
    if names is None:
        # By the unique labels, so that one wrong label of a billion allocates no memory.
        present = np.unique(np.concatenate(list(labels.values())))
        gaps = np.flatnonzero(present != np.arange(len(present)))
        if len(gaps):
            raise DataError(
                f"labels go up to {highest}, and no sample has label {int(gaps[0])}",
                "labels 0, 1, 2, ... without gaps: np.unique(y, return_inverse=True)[1]",
            )
        names = tuple(str(label) for label in present)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two classes are named {twice!r}", "a name of its own for each class")
    for part, y in labels.items():
        top = int(y.max())
        if top >= len(names):
            raise DataError(
                f"{part}: there is a label {top}, and {len(names)} classes are named (0 ... {len(names) - 1})",
                "a name for each class, or labels that count from 0",
            )
    if len(names) == 1:
        raise DataError(
            f"all samples are of one class, {names[0]!r}: there is nothing to tell apart", "two classes or more"
        )
    counts = np.bincount(labels["train"], minlength=len(names))
    if not counts.all():
        absent = names[int(np.flatnonzero(counts == 0)[0])]
        raise DataError(
            f"train has no sample of class {absent!r}", f"samples of {absent!r} in train, or a set without it"
        )
    return names


def count_classes(y: Array) -> int:
    """Return the number of different classes in labels (N,)."""
    return len(np.unique(y))


def count_labels(y: Array, classes: Classes) -> list[int]:
    """Return the number of samples of each class."""
    counts: list[int] = np.bincount(y, minlength=len(classes)).tolist()
    return counts


LABELS = Targets(
    one=label,
    form="a class index: 0, 1, ...",
    check=check_labels,
    name_classes=name_classes,
    strata=count_classes,
    divide=stratified,
    summarise=count_labels,
)
