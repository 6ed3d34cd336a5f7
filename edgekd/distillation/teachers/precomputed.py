"""Reads the answers of a teacher that is not there itself: an .npz of outputs, in the data set's own order."""

import zipfile
from pathlib import Path

import numpy as np

from edgekd.data.splits import PARTS, Positions, Splits
from edgekd.distillation.teachers.external import check_answers
from edgekd.errors import ModelError


def read_answers(path: Path, splits: Splits, positions: Positions) -> dict[str, np.ndarray]:
    """Return answers (N, *answer shape) by part: "train" and, where the file has them, "validation" and "test".

    Args:
        path: the file, whose arrays have the task's names: in classification `logits` and so on for the training
            samples, `validation_logits`, `test_logits` for the others. There may be an answer to each sample of the
            training split, or to each training sample of the data set, including those that edgekd has set aside for
            validation or left out.
        positions: the positions of the splits' samples in the data set, as `load_positions` returns them.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, TypeError) as error:
        raise ModelError(
            f"teacher.answers: {path.name} can't be read as .npz: {error}", "np.savez(file, logits=...)"
        ) from error
    by_part = {}
    for part in PARTS:
        prefix = "" if part == "train" else f"{part}_"
        answers = _answers(arrays, prefix, splits, path.name)
        if answers is not None:
            by_part[part] = answers
    if "train" not in by_part:
        raise ModelError(
            f"teacher.answers: {path.name} has {', '.join(arrays) or 'nothing'}, and no answers to training samples",
            f"arrays {splits.task.answers.archive_form}",
        )
    by_part = _divide(by_part.pop("train"), splits, positions, path.name) | by_part
    for part in ("validation", "test"):
        if part in by_part and len(by_part[part]) != len(getattr(splits, part)):
            raise _wrong_count(path.name, part, len(by_part[part]), str(len(getattr(splits, part))))
    return by_part


def _divide(answers: np.ndarray, splits: Splits, positions: Positions, who: str) -> dict[str, np.ndarray]:
    """Return the answers to the training split, and those to validation where the file answers all training samples."""
    expected = len(splits.train)
    if len(answers) == expected:
        return {"train": answers}
    if not positions:
        raise _wrong_count(who, "train", len(answers), str(expected))
    total = int(positions["total"])
    if len(answers) != total:
        raise _wrong_count(who, "train", len(answers), f"{expected} (or {total}, with those that were set aside)")
    return {part: answers[positions[part]] for part in ("train", "validation") if part in positions}


def _wrong_count(who: str, part: str, count: int, expected: str) -> ModelError:
    return ModelError(
        f"teacher.answers: {who} has {count} answers for the {part} samples, which are {expected}",
        "one answer a sample, in the data set's order",
    )


def _answers(arrays: dict[str, np.ndarray], prefix: str, splits: Splits, name: str) -> np.ndarray | None:
    who = f"teacher.answers: {name}"
    array = splits.task.answers.from_archive(arrays, prefix, splits.answer_shape, who)
    if array is None:
        return None
    return check_answers(array.numbers, len(array.numbers), splits, array.gives, f"{who}: {array.name}")
