"""What can be wrong with a data set, each problem said by name before anything trains."""

import hashlib

import numpy as np

from edgekd.data.loading import Raw
from edgekd.data.splits import PARTS, Split
from edgekd.errors import DataError

CHUNK_BYTES = 8 * 2**20  # of inputs that are looked at together; in float64 it is up to eight times as much


def checked(raw: Raw) -> Raw:
    """The data set with uint8 or float32 inputs, or int32 tokens; int64 labels; named classes.

    Raises:
        DataError: where it can't be used.
    """
    _parts_exist(raw)
    notes = list(raw.notes)
    parts = {}
    for part in PARTS:
        if part in raw.parts:
            y = _labels(raw.parts[part].y, part)
            given = raw.parts[part].x
            x = _tokens(given, part, len(raw.vocabulary)) if raw.vocabulary else _inputs(given, part, notes)
            if len(x) != len(y):
                raise DataError(f"{part}: {len(x)} inputs and {len(y)} labels", "one label for each input")
            if not len(y):
                raise DataError(f"{part} is empty", f"samples in {part}, or leave {part} out of the data set")
            parts[part] = Split(x, y)
    _parts_agree(parts)
    classes = _classes(parts, raw.classes)
    for part, split in parts.items():
        _finite(split.x, part)
    notes += leaks(parts)
    return Raw(parts, classes, raw.mean, raw.std, notes, raw.vocabulary)


def chunks(x: np.ndarray) -> list[slice]:
    """Slices of the first axis that hold about `CHUNK_BYTES` each."""
    step = max(1, CHUNK_BYTES // max(1, x[:1].nbytes))
    return [slice(start, start + step) for start in range(0, len(x), step)]


def leaks(parts: dict[str, Split]) -> list[str]:
    """A note for each part held back whose inputs are partly the training's own, byte for byte."""
    notes = []
    train = _digests(parts["train"].x)
    for part in ("validation", "test"):
        if part not in parts:
            continue
        shared = sum(digest in train for digest in _digest_list(parts[part].x))
        if shared:
            share = 100 * shared / len(parts[part])
            notes.append(f"{shared} inputs of {part} ({share:.1f} %) are in train too, so its accuracy flatters")
    return notes


def _parts_exist(raw: Raw) -> None:
    if "train" not in raw.parts:
        raise DataError("the data set has no train part", 'a part "train": (x, y)')
    if "test" not in raw.parts:
        raise DataError(
            "the data set has no test part, and figures of samples that were trained on say nothing",
            'a part "test": (x, y), of samples that are not in train',
        )


def _labels(y: np.ndarray, part: str) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] > 1:
        raise DataError(f"{part}: labels have shape {y.shape}, as if one-hot", "class indices: y.argmax(axis=1)")
    if y.ndim != 1:
        raise DataError(f"{part}: labels have shape {y.shape}, not (N,)", "one class index per sample: y.reshape(-1)")
    if y.dtype.kind not in "iub":
        raise DataError(
            f"{part}: labels are {_named(y.dtype)}, not class indices", "whole numbers 0, 1, ...: y.astype(int)"
        )
    if len(y) and int(y.min()) < 0:
        raise DataError(f"{part}: there is a label {int(y.min())}, and classes count from 0", "labels 0, 1, ...")
    return y.astype(np.int64)


def _inputs(x: np.ndarray, part: str, notes: list[str]) -> np.ndarray:
    if x.dtype.kind not in "iufb":
        raise DataError(f"{part}: inputs are {_named(x.dtype)}, not numbers", "an array of uint8 or float32")
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise DataError(f"{part}: inputs have shape {x.shape}", "(N, ...), images as (N, channels, height, width)")
    if x.dtype in (np.uint8, np.float32):
        return x
    if x.dtype.kind != "f":
        notes.append(f"{part}: inputs are {x.dtype}, taken as float32; uint8 images would be scaled to [0, 1]")
    out = np.empty(x.shape, np.float32)
    with np.errstate(over="ignore"):  # What is too large becomes infinite, and is refused as such.
        for some in chunks(x):
            out[some] = x[some]
    return out


def _tokens(x: np.ndarray, part: str, words: int) -> np.ndarray:
    if x.dtype.kind not in "iu":
        raise DataError(f"{part}: inputs are {_named(x.dtype)}, and the data set has a vocabulary", "integer tokens")
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(f"{part}: tokens have shape {x.shape}", "(N, length), padded to one length")
    if x.size and not 0 <= int(x.min()) <= int(x.max()) < words:
        raise DataError(
            f"{part}: tokens go from {int(x.min())} to {int(x.max())}, and the vocabulary has {words} words",
            f"tokens 0 ... {words - 1}, one of them for words that are not in the vocabulary",
        )
    return x.astype(np.int32)


def _parts_agree(parts: dict[str, Split]) -> None:
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


def _classes(parts: dict[str, Split], names: tuple[str, ...] | None) -> tuple[str, ...]:
    highest = max(int(split.y.max()) for split in parts.values())
    if names is None:
        # Counted by the samples first, so that one stray label of a billion asks for no memory.
        present = np.unique(np.concatenate([split.y for split in parts.values()]))
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
    for part, split in parts.items():
        top = int(split.y.max())
        if top >= len(names):
            raise DataError(
                f"{part}: there is a label {top}, and {len(names)} classes are named (0 ... {len(names) - 1})",
                "a name for each class, or labels that count from 0",
            )
    if len(names) == 1:
        raise DataError(
            f"all samples are of one class, {names[0]!r}: there is nothing to tell apart", "two classes or more"
        )
    counts = np.bincount(parts["train"].y, minlength=len(names))
    if not counts.all():
        absent = names[int(np.flatnonzero(counts == 0)[0])]
        raise DataError(
            f"train has no sample of class {absent!r}", f"samples of {absent!r} in train, or a set without it"
        )
    return names


def _finite(x: np.ndarray, part: str) -> None:
    if x.dtype != np.float32:
        return
    for some in chunks(x):
        good = np.isfinite(x[some]).reshape(len(x[some]), -1).all(axis=1)
        if not good.all():
            number = some.start + int(np.flatnonzero(~good)[0])
            kind = "NaN" if np.isnan(x[number]).any() else "an infinity"
            raise DataError(f"{part}: input {number} holds {kind}", f"take sample {number} out, or mend it")


def _digest_list(x: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(row.tobytes(), digest_size=12).digest() for row in x]


def _digests(x: np.ndarray) -> set[bytes]:
    return set(_digest_list(x))


def _named(dtype: np.dtype) -> str:
    kinds = {"O": "Python objects", "U": "text", "S": "text", "f": "fractions"}
    return f"{kinds[dtype.kind]} ({dtype})" if dtype.kind in kinds else str(dtype)
