"""A teacher of whom only the answers are left: an .npz of outputs for the samples, in the data set's own order."""

import zipfile
from pathlib import Path

import numpy as np

from edgekd.data.splits import PARTS, Positions, Splits
from edgekd.distillation.teachers.external import check_answers
from edgekd.errors import ModelError


def read_answers(path: Path, splits: Splits, positions: Positions) -> dict[str, np.ndarray]:
    """Answers (N, *answer shape) by part, "train" and, where the file has them, "validation" and "test".

    Args:
        path: the arrays are called as the task says: in classification `logits` and so on for the training samples,
            `validation_logits`, `test_logits` for the others. There may be an answer to each sample of the training
            split, or to each training sample of the data set, those included that edgekd has set aside for validation
            or left out.
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
        answers = _answers(arrays, prefix, splits, path.name)
        if answers is not None:
            found[part] = answers
    if "train" not in found:
        raise ModelError(
            f"teacher.answers: {path.name} has {', '.join(arrays) or 'nothing'}, and no answers to training samples",
            f"arrays {splits.task.answers.archive_form}",
        )
    found = _divided(found.pop("train"), splits, positions, path.name) | found
    for part in ("validation", "test"):
        if part in found and len(found[part]) != len(getattr(splits, part)):
            raise _wrong_count(path.name, part, len(found[part]), str(len(getattr(splits, part))))
    return found


def _divided(answers: np.ndarray, splits: Splits, positions: Positions, who: str) -> dict[str, np.ndarray]:
    """Answers to the training split; of those to all training samples of the data set, the validation's too."""
    wanted = len(splits.train)
    if len(answers) == wanted:
        return {"train": answers}
    if not positions:
        raise _wrong_count(who, "train", len(answers), str(wanted))
    total = int(positions["total"])
    if len(answers) != total:
        raise _wrong_count(who, "train", len(answers), f"{wanted} (or {total}, with those that were set aside)")
    return {part: answers[positions[part]] for part in ("train", "validation") if part in positions}


def _wrong_count(who: str, part: str, found: int, wanted: str) -> ModelError:
    return ModelError(
        f"teacher.answers: {who} has {found} answers for the {part} samples, which are {wanted}",
        "one answer a sample, in the data set's order",
    )


def _answers(arrays: dict[str, np.ndarray], prefix: str, splits: Splits, name: str) -> np.ndarray | None:
    who = f"teacher.answers: {name}"
    array = splits.task.answers.from_archive(arrays, prefix, splits.answer_shape, who)
    if array is None:
        return None
    return check_answers(array.numbers, len(array.numbers), splits, array.gives, f"{who}: {array.name}")
