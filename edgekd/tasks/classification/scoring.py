"""How good a classifier is, and how alike two of them answer: top-1 accuracy and agreement, in percent."""

import math
from collections.abc import Sequence

import numpy as np

from edgekd.tasks.classification.measures import agreement, share
from edgekd.tasks.classification.transfer import transfer
from edgekd.tasks.task import Array, Score, Scoring


def accuracy(logits: Array, y: Array) -> Score:
    """The share of right top-1 answers, in percent, of logits (N, classes) and labels (N,)."""
    if not len(y):
        return Score(float("nan"), float("nan"))
    value = float(100 * np.mean(logits.argmax(axis=1) == y))
    return Score(value, standard_error(value, len(y)))


def share_right(right: int, samples: int) -> Score:
    """So many right answers of so many, as an accuracy in percent."""
    value = 100 * right / samples
    return Score(value, standard_error(value, samples))


def standard_error(accuracy: float, samples: int) -> float:
    """Of an accuracy in percent, measured on so many samples: that of a share."""
    return math.sqrt(accuracy * (100 - accuracy) / samples)


def same_class(logits: Array, others: Array) -> float:
    """The share of samples to which both give the same top-1 class, in percent; NaN of no samples."""
    same = share(agreement(logits, others))
    return float("nan") if same is None else same


def class_changes(before: Array, after: Array, samples: str) -> str:
    """97.9 % of 512 validation samples keep their class."""
    return f"{same_class(before, after):.1f} % of {samples} keep their class"


def chance(classes: Sequence[str], y: Array) -> float:
    """Of answers that know nothing, were there as many samples of each class."""
    return 100 / len(classes)


ACCURACY = Scoring(
    score=accuracy,
    agreement=same_class,
    describe_change=class_changes,
    chance=chance,
    barely_better=1.5,
    transfer=transfer,
)
