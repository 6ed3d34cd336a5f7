"""A teacher of whom only the answers are left: an .npz of outputs for the samples, in the data set's own order.

Probabilities become their logarithms as logits, on which a temperature then acts. Of the k likliest classes alone, the
rest of the mass is spread evenly over the others, since nothing more is known of them.
"""

import zipfile
from pathlib import Path

import numpy as np

from edgekd.data.splits import PARTS, Positions, Splits
from edgekd.distillation.teachers.external import SUM_TOLERANCE, as_logits
from edgekd.errors import ModelError

SHAPES = "logits (N, classes), probabilities (N, classes), or indices (N, k) and probabilities (N, k)"


def read_answers(path: Path, splits: Splits, positions: Positions) -> dict[str, np.ndarray]:
    """Logits (N, classes) by part, "train" and, where the file has them, "validation" and "test".

    Args:
        path: `logits` and so on for the training samples, `validation_logits`, `test_logits` for the others. There may
            be an answer to each sample of the training split, or to each training sample of the data set, those
            included that edgekd has set aside for validation or left out.
        positions: of the splits' samples in the data set, as `load_positions` has them.
    """
    try:
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except (OSError, ValueError, zipfile.BadZipFile, TypeError) as error:
        raise ModelError(
            f"teacher.answers: {path.name} can't be read as .npz: {error}", "np.savez(file, logits=...)"
        ) from error
    found = {}
    for part in PARTS:
        prefix = "" if part == "train" else f"{part}_"
        logits = _logits(arrays, prefix, len(splits.classes), path.name)
        if logits is not None:
            found[part] = logits
    if "train" not in found:
        raise ModelError(
            f"teacher.answers: {path.name} has {', '.join(arrays) or 'nothing'}, and no answers to training samples",
            f"arrays {SHAPES}",
        )
    found = _divided(found.pop("train"), splits, positions, path.name) | found
    for part in ("validation", "test"):
        if part in found and len(found[part]) != len(getattr(splits, part)):
            raise _wrong_count(path.name, part, len(found[part]), str(len(getattr(splits, part))))
    return found


def _divided(logits: np.ndarray, splits: Splits, positions: Positions, who: str) -> dict[str, np.ndarray]:
    """Answers to the training split; of those to all training samples of the data set, the validation's too."""
    wanted = len(splits.train)
    if len(logits) == wanted:
        return {"train": logits}
    if not positions:
        raise _wrong_count(who, "train", len(logits), str(wanted))
    total = int(positions["total"])
    if len(logits) != total:
        raise _wrong_count(who, "train", len(logits), f"{wanted} (or {total}, with those that were set aside)")
    return {part: logits[positions[part]] for part in ("train", "validation") if part in positions}


def _wrong_count(who: str, part: str, found: int, wanted: str) -> ModelError:
    return ModelError(
        f"teacher.answers: {who} has {found} answers for the {part} samples, which are {wanted}",
        "one answer a sample, in the data set's order",
    )


def _logits(arrays: dict[str, np.ndarray], prefix: str, classes: int, name: str) -> np.ndarray | None:
    logits, probabilities, indices = (arrays.get(f"{prefix}{what}") for what in ("logits", "probabilities", "indices"))
    who = f"teacher.answers: {name}"
    if logits is not None:
        return as_logits(logits, len(logits), classes, "logits", f"{who}: {prefix}logits")
    if probabilities is None:
        return None
    if indices is not None:
        probabilities = spread(indices, probabilities, classes, f"{who}: {prefix}indices")
    return as_logits(probabilities, len(probabilities), classes, "probabilities", f"{who}: {prefix}probabilities")


def spread(indices: np.ndarray, probabilities: np.ndarray, classes: int, who: str) -> np.ndarray:
    """(N, k) class indices and their probabilities -> (N, classes), the rest of the mass spread evenly."""
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
    found = np.repeat(rest, classes, axis=1)
    np.put_along_axis(found, indices.astype(np.int64), probabilities.astype(np.float64), axis=1)
    found /= found.sum(axis=1, keepdims=True)
    return found
