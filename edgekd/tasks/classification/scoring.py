"""Scores classifiers by their top-1 accuracy, and two classifiers by their agreement, in percent."""

import math
from collections.abc import Sequence

import numpy as np

from edgekd.tasks.classification.measures import agreement, share
from edgekd.tasks.classification.transfer import transfer
from edgekd.tasks.task import Array, Score, Scoring


def accuracy(logits: Array, y: Array) -> Score:
    """Return the top-1 accuracy in percent of logits (N, classes) against labels (N,)."""
    if not len(y):
        return Score(float("nan"), float("nan"))
    value = float(100 * np.mean(logits.argmax(axis=1) == y))
    return Score(value, standard_error(value, len(y)))


def share_right(right: int, samples: int) -> Score:
    """Return the accuracy in percent of `right` correct answers to `samples` samples."""
    value = 100 * right / samples
    return Score(value, standard_error(value, samples))


def standard_error(accuracy: float, samples: int) -> float:
    """Return the standard error of an accuracy in percent, a binomial proportion over `samples` samples."""
    return math.sqrt(accuracy * (100 - accuracy) / samples)


def same_class(logits: Array, others: Array) -> float:
    """Return the share of samples for which both have the same top-1 class, in percent; NaN without samples."""
    same = share(agreement(logits, others))
    return float("nan") if same is None else same


def class_changes(before: Array, after: Array, samples: str) -> str:
    """Describe a change of the network: "97.9 % of 512 validation samples keep their class"."""
    return f"{same_class(before, after):.1f} % of {samples} keep their class"


def chance(classes: Sequence[str], y: Array) -> float:
    """Return the accuracy in percent of random guesses, for as many samples of each class."""
    return 100 / len(classes)


ACCURACY = Scoring(
    score=accuracy,
    agreement=same_class,
    describe_change=class_changes,
    chance=chance,
    barely_better=1.5,
    transfer=transfer,
)
