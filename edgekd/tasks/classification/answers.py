"""Converts what external teachers return to the logits that losses compare.

Probabilities become their logarithms, on which a temperature then acts. Where a teacher returns the k likeliest classes
alone, the remaining probability is spread evenly over the others, of which nothing is known.
"""

from collections.abc import Mapping

import numpy as np

from edgekd.errors import ModelError
from edgekd.tasks.classification.learning import combine, label_loss
from edgekd.tasks.task import AnswerArray, Answers, Array, Classes

LEAST = 1e-8
"""Smaller probabilities are raised to this one before the logarithm: -18.4, which float16 can represent."""
SUM_TOLERANCE = 0.02
"""Probabilities of 8-bit files add up to 1 within a few of their steps of 1/256."""
ARCHIVE_FORM = "logits (N, classes), probabilities (N, classes), or indices (N, k) and probabilities (N, k)"


def read(numbers: Array, gives: str, who: str) -> Array:
    """Return float32 logits of an external teacher's outputs (N, classes), which are "logits" or "probabilities"."""
    return log_probabilities(numbers, who) if gives == "probabilities" else numbers.astype(np.float32)


def log_probabilities(probabilities: np.ndarray, who: str) -> np.ndarray:
    """Return the logarithms of rows of probabilities; ModelError where a row is no distribution."""
    sums = probabilities.sum(axis=1)
    worst = float(sums[np.abs(sums - 1).argmax()]) if len(sums) else 1.0
    least = float(probabilities.min()) if probabilities.size else 0.0
    if least < -SUM_TOLERANCE or abs(worst - 1) > SUM_TOLERANCE:
        raise ModelError(
            f"{who} was to give probabilities; a row adds up to {worst:.3g}, and the least value is {least:.3g}",
            'gives = "logits" beside it, where it gives those',
        )
    logits: np.ndarray = np.log(np.maximum(probabilities, LEAST)).astype(np.float32)
    return logits


def look_like_probabilities(logits: np.ndarray) -> bool:
    """Return whether values declared as logits look like probabilities: none below 0, and rows that add up to 1."""
    return bool(len(logits) and logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=SUM_TOLERANCE))


def doubt(logits: Array, gives: str) -> str:
    """Return a remark on what looks wrong about a teacher's logits, or ""."""
    if gives == "logits" and look_like_probabilities(logits):
        return 'seems to give probabilities: is teacher.gives = "probabilities" meant?'
    return ""


def from_archive(arrays: Mapping[str, Array], prefix: str, shape: tuple[int, ...], file: str) -> AnswerArray | None:
    """Return the answers among the arrays of an .npz whose names begin with `prefix`, as `ARCHIVE_FORM` describes."""
    logits, probabilities, indices = (arrays.get(f"{prefix}{what}") for what in ("logits", "probabilities", "indices"))
    if logits is not None:
        return AnswerArray(logits, "logits", f"{prefix}logits")
    if probabilities is None:
        return None
    if indices is not None:
        probabilities = of_all_classes(indices, probabilities, shape[0], f"{file}: {prefix}indices")
    return AnswerArray(probabilities, "probabilities", f"{prefix}probabilities")


def of_all_classes(indices: np.ndarray, probabilities: np.ndarray, classes: int, who: str) -> np.ndarray:
    """Return probabilities (N, classes) of (N, k) class indices and their probabilities; the rest is spread evenly."""
    if indices.ndim != 2 or indices.shape != probabilities.shape or not np.issubdtype(indices.dtype, np.integer):
        raise ModelError(
            f"{who} {indices.shape} {indices.dtype} and probabilities {probabilities.shape} do not belong together",
            "integers and numbers, both (N, k)",
        )
    if indices.size and (indices.min() < 0 or indices.max() >= classes):
        raise ModelError(
            f"{who} go from {indices.min()} to {indices.max()}; the data has {classes} classes", f"0 ... {classes - 1}"
        )
    ordered = np.sort(indices, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        raise ModelError(f"{who} name a class twice in one row", "k different classes a row")
    sums = probabilities.sum(axis=1, dtype=np.float64, keepdims=True)
    if not np.isfinite(sums).all() or (sums > 1 + SUM_TOLERANCE).any() or (probabilities < 0).any():
        raise ModelError(f"{who}: their probabilities are not between 0 and 1, or add up to more", "shares of 1")
    others = classes - indices.shape[1]
    rest = np.maximum(1 - sums, 0) / others if others else np.zeros_like(sums)
    completed = np.repeat(rest, classes, axis=1)
    np.put_along_axis(completed, indices.astype(np.int64), probabilities.astype(np.float64), axis=1)
    completed /= completed.sum(axis=1, keepdims=True)
    return completed


def answer_shape(classes: Classes, y: Array) -> tuple[int]:
    """Return the shape of an answer, which has one number a class."""
    return (len(classes),)


def classes_in_words(shape: tuple[int, ...]) -> str:
    """Describe the shape of an answer: "10 classes"."""
    return f"{shape[0]} classes"


LOGITS = Answers(
    kind="logits",
    loss="logits",
    label_loss=label_loss,
    shape=answer_shape,
    form=classes_in_words,
    read=read,
    from_archive=from_archive,
    archive_names=("logits", "probabilities"),
    archive_form=ARCHIVE_FORM,
    doubt=doubt,
    combine=combine,
    decoding="label = labels[answer.argmax()]",
)
