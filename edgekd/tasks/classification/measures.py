"""Compares a classifier's answers with its teacher's: agreement, calibration and common mistakes.

Logits are (N, classes), labels (N,) class indices; shares are in percent.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Array = np.ndarray

BINS = 15  # of confidence, as in the paper's experiments


def agreement(one: Array, other: Array) -> Array:
    """Return whether both have the same top-1 class for each sample: (N,) bool."""
    same: Array = one.argmax(axis=1) == other.argmax(axis=1)
    return same


def share(true: Array) -> float | None:
    """Return the share of True in a (N,) bool array, in percent; None where the array is empty."""
    return float(100 * true.mean()) if len(true) else None


def calibration_error(logits: Array, y: Array, bins: int = BINS) -> float:
    """Expected calibration error in percent: sum over bins of |bin| / N * |accuracy(bin) - confidence(bin)|

    Equations 2 and 3 of Guo et al. (2017), on `bins` equally wide intervals ((m - 1) / bins, m / bins] of the highest
    probability. The estimate is biased upwards where bins hold few samples.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    confidence = 1 / np.exp(shifted).sum(axis=1)  # softmax's largest entry: its shifted logit is 0
    gap = (logits.argmax(axis=1) == y).astype(np.float64) - confidence
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(100 * np.abs(np.bincount(place, gap, bins)).sum() / max(len(y), 1))


class Consistency(NamedTuple):
    """Attributes:
    observed: share of samples on which both are right or both are wrong.
    expected: the same share for two classifiers of these accuracies that err independently.
    kappa: (observed - expected) / (1 - expected): 0 by chance, 1 where both always err together, below 0 where they
        avoid each other's mistakes.
    error: one standard error of kappa.
    """

    observed: float
    expected: float
    kappa: float
    error: float


def error_consistency(one: Array, other: Array) -> Consistency | None:
    """Cohen's kappa of two classifiers' mistakes (Geirhos, Meding and Wichmann, 2020, section 2).

    Its standard error is Cohen's (1960), sqrt(observed (1 - observed) / N) / (1 - expected).

    Args:
        one, other: whether each was right, (N,) bool.

    Returns:
        None where one of them is always right or always wrong: nothing can be said of how its mistakes fall.
    """
    if not len(one) or len(set(one.tolist())) < 2 or len(set(other.tolist())) < 2:
        return None
    observed = float((one == other).mean())
    p, q = float(one.mean()), float(other.mean())
    expected = p * q + (1 - p) * (1 - q)
    error = np.sqrt(observed * (1 - observed) / len(one)) / (1 - expected)
    return Consistency(observed, expected, (observed - expected) / (1 - expected), float(error))


class RepeatedMistakes(NamedTuple):
    """Attributes:
    mistakes: number of the teacher's mistakes.
    same: number of them to which the student gives the same wrong answer.
    expected: number that would be the same by chance.
    deviation: standard deviation of the number by chance.
    """

    mistakes: int
    same: int
    expected: float
    deviation: float


def repeated_mistakes(student: Array, teacher: Array, y: Array) -> RepeatedMistakes:
    """Count the teacher's wrong answers that the student gives too, and those that would be the same by chance alone.

    By chance, each of the two gives its own answers to the samples of each class in a random order, so that a class
    that is hard for both is no sign of inheritance. For n samples of a class, to which the teacher gives the answer k
    T_k times and the student S_k times, sum over k of T_k S_k / n mistakes agree on average; the variance is that of a
    sum along a random permutation (Hoeffding, 1951, theorem 2).
    """
    ours, theirs = student.argmax(axis=1), teacher.argmax(axis=1)
    expected = variance = 0.0
    for label in np.unique(y):
        n = int((y == label).sum())
        answers, codes = np.unique(np.concatenate([ours[y == label], theirs[y == label]]), return_inverse=True)
        s, t = (np.bincount(part, minlength=len(answers)) for part in (codes[:n], codes[n:]))
        same = np.diag((answers != label).astype(float))  # a right answer is no mistake
        expected += float(t @ same @ s) / n
        centred = same - (same @ s / n)[:, None] - (t @ same / n)[None, :] + float(t @ same @ s) / n**2
        variance += float(t @ centred**2 @ s) / (n - 1) if n > 1 else 0.0
    wrong = theirs != y
    return RepeatedMistakes(int(wrong.sum()), int((wrong & (ours == theirs)).sum()), expected, float(np.sqrt(variance)))


def excess_repeats(
    students: Sequence[Array], alone: Sequence[Array], teacher: Array, y: Array
) -> tuple[float, float] | None:
    """Return how many more of the teacher's mistakes its students repeat than students trained alone, in points.

    Networks that are trained independently also make the same mistakes, on the samples that are hard: their share is
    subtracted.

    Returns:
        (difference, its standard error), over the teacher's mistakes after averaging over the trainings; None where
        there are fewer than two mistakes, or where one of the groups has no students.
    """
    theirs = teacher.argmax(axis=1)
    wrong = theirs != y
    if wrong.sum() < 2 or not students or not alone:
        return None
    repeats_distilled, repeats_alone = (
        np.mean([logits.argmax(axis=1)[wrong] == theirs[wrong] for logits in group], axis=0)
        for group in (students, alone)
    )
    excess = 100 * (repeats_distilled - repeats_alone)
    return float(excess.mean()), float(excess.std(ddof=1) / np.sqrt(len(excess)))
