"""Checks a data set before anything trains, with an error of its own for each problem."""

import hashlib

import numpy as np

from edgekd.data.loading import Raw
from edgekd.data.splits import PARTS, Split
from edgekd.errors import DataError
from edgekd.tasks.task import Task
from edgekd.tasks.words import describe_dtype

CHUNK_BYTES = 8 * 2**20  # of inputs that are checked at a time; in float64 they take up to eight times as much


def check_data(raw: Raw, task: Task) -> Raw:
    """Return the data set with uint8 or float32 inputs, or int32 tokens, the task's targets, and names of classes.

    Raises:
        DataError: the data set can't be used.
    """
    _check_parts_exist(raw)
    notes = list(raw.notes)
    parts = {}
    for part in PARTS:
        if part in raw.parts:
            y = task.targets.check(raw.parts[part].y, part)
            values = raw.parts[part].x
            x = _tokens(values, part, len(raw.vocabulary)) if raw.vocabulary else _inputs(values, part, notes)
            if len(x) != len(y):
                raise DataError(f"{part}: {len(x)} inputs and {len(y)} labels", "one label for each input")
            if not len(y):
                raise DataError(f"{part} is empty", f"samples in {part}, or leave {part} out of the data set")
            parts[part] = Split(x, y)
    _check_parts_agree(parts)
    classes = task.targets.name_classes({part: split.y for part, split in parts.items()}, raw.classes)
    for part, split in parts.items():
        _check_finite(split.x, part)
    notes += leaks(parts, task.words.score)
    return Raw(parts, classes, raw.mean, raw.std, notes, raw.vocabulary)


def chunks(x: np.ndarray) -> list[slice]:
    """Return slices of the first axis that hold about `CHUNK_BYTES` each."""
    step = max(1, CHUNK_BYTES // max(1, x[:1].nbytes))
    return [slice(start, start + step) for start in range(0, len(x), step)]


def leaks(parts: dict[str, Split], score: str) -> list[str]:
    """Return a note for validation and for test where some of their inputs equal training inputs, byte for byte.

    Args:
        score: the task's word for its score.
    """
    notes = []
    train = _digests(parts["train"].x)
    for part in ("validation", "test"):
        if part not in parts:
            continue
        shared = sum(digest in train for digest in _digest_list(parts[part].x))
        if shared:
            share = 100 * shared / len(parts[part])
            notes.append(f"{shared} inputs of {part} ({share:.1f} %) are in train too, so its {score} flatters")
    return notes


def _check_parts_exist(raw: Raw) -> None:
    if "train" not in raw.parts:
        raise DataError("the data set has no train part", 'a part "train": (x, y)')
    if "test" not in raw.parts:
        raise DataError(
            "the data set has no test part, and figures of samples that were trained on say nothing",
            'a part "test": (x, y), of samples that are not in train',
        )


def _inputs(x: np.ndarray, part: str, notes: list[str]) -> np.ndarray:
    if x.dtype.kind not in "iufb":
        raise DataError(f"{part}: inputs are {describe_dtype(x.dtype)}, not numbers", "an array of uint8 or float32")
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise DataError(f"{part}: inputs have shape {x.shape}", "(N, ...), images as (N, channels, height, width)")
    if x.dtype in (np.uint8, np.float32):
        return x
    if x.dtype.kind != "f":
        notes.append(f"{part}: inputs are {x.dtype}, taken as float32; uint8 images would be scaled to [0, 1]")
    converted = np.empty(x.shape, np.float32)
    with np.errstate(over="ignore"):  # Values beyond float32 become infinite, which `_check_finite` refuses.
        for rows in chunks(x):
            converted[rows] = x[rows]
    return converted


def _tokens(x: np.ndarray, part: str, words: int) -> np.ndarray:
    if x.dtype.kind not in "iu":
        raise DataError(
            f"{part}: inputs are {describe_dtype(x.dtype)}, and the data set has a vocabulary", "integer tokens"
        )
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(f"{part}: tokens have shape {x.shape}", "(N, length), padded to one length")
    if x.size and not 0 <= int(x.min()) <= int(x.max()) < words:
        raise DataError(
            f"{part}: tokens go from {int(x.min())} to {int(x.max())}, and the vocabulary has {words} words",
            f"tokens 0 ... {words - 1}, one of them for words that are not in the vocabulary",
        )
    return x.astype(np.int32)


def _check_parts_agree(parts: dict[str, Split]) -> None:
    train = parts["train"].x
    for part, split in parts.items():
        if split.x.shape[1:] != train.shape[1:]:
            raise DataError(
                f"{part} has inputs of shape {split.x.shape[1:]}, and train of {train.shape[1:]}",
                "one shape in all parts",
            )
        if split.x.dtype != train.dtype:
            raise DataError(
                f"{part} has inputs of {split.x.dtype}, and train of {train.dtype}",
                "one type in all parts: uint8 is scaled to [0, 1], float32 is not",
            )


def _check_finite(x: np.ndarray, part: str) -> None:
    if x.dtype != np.float32:
        return
    for rows in chunks(x):
        good = np.isfinite(x[rows]).reshape(len(x[rows]), -1).all(axis=1)
        if not good.all():
            number = rows.start + int(np.flatnonzero(~good)[0])
            kind = "NaN" if np.isnan(x[number]).any() else "an infinity"
            raise DataError(f"{part}: input {number} holds {kind}", f"take sample {number} out, or mend it")


def _digest_list(x: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(row.tobytes(), digest_size=12).digest() for row in x]


def _digests(x: np.ndarray) -> set[bytes]:
    return set(_digest_list(x))
