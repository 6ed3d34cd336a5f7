"""Writes and scores the folder of several teachers, or of one from outside torch."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd.catalog import signatures
from edgekd.config import Source
from edgekd.config import Teacher as Settings
from edgekd.data.splits import Split, Splits, load_positions
from edgekd.distillation.ensemble import combine_function
from edgekd.distillation.run import Teacher
from edgekd.distillation.teachers import external, load, precomputed, specialists
from edgekd.distillation.teachers.load import Part, part_folder
from edgekd.errors import ModelError
from edgekd.nn.outputs import Outputs
from edgekd.tasks.task import WAYS, Task
from edgekd.training.evaluate import answers_of

SCORED_PARTS = ("validation", "test")


def save_external(source: Source, splits: Splits, data: Path, folder: Path) -> Part:
    """Copy a teacher from outside torch into `folder`; of a teacher without a network, its answers as arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    if source.answers is not None:
        for part, answers in precomputed.read_answers(source.answers, splits, load_positions(data)).items():
            np.save(folder / f"{part}.npy", answers, allow_pickle=False)
        return Part("answers", source.answers.name)
    external.try_out(source, splits)
    if source.call is not None:
        return Part("call", source.call, source.gives, source.input)
    assert source.file is not None
    return Part("file", external.copy(source.file, folder).name, source.gives, source.input)


def check_several(settings: Settings, task: Task) -> None:
    """Check that the task can combine several teachers, and that specialists can be made.

    Raises:
        ConfigError: the task has no way to combine answers, or no classes.
        ModelError: no specialist can be made of the teacher's model, whose number of classes can't be set.
    """
    if settings.members > 1 or settings.also:
        combine_function(task, "several teachers")
    if settings.specialists:
        task.require("logits", f"teacher.specialists = {settings.specialists}", "teacher.specialists = 0")
        _check_specialists(settings)


def _check_specialists(settings: Settings) -> None:
    takes = signatures.signature("model", settings.model)
    if takes is not None and not takes.open_ended and "classes" not in takes.options:
        raise ModelError(
            f"teacher {settings.model!r} takes no option `classes`: no specialist can be made of it",
            "teacher.specialists = 0",
        )


def confusions(model: nn.Module, splits: Splits, settings: Settings, seed: int) -> list[list[int]]:
    """Return the clusters of classes that a generalist confuses on the validation split."""
    answers = answers_of(model, splits.validation, splits, title="teacher: what it confuses")
    return specialists.clusters(answers, settings.specialists, seed)


def evaluate_parts(folder: Path, parts: list[Part], splits: Splits, device: str) -> dict[str, Any]:
    """Write each teacher's answers to validation and test, and `teacher.json`; return the metrics of the ensemble.

    `score` is the score of the mean of all; `combined` has it for each way of combining them. Both are None where there
    are no answers to the split.
    """
    notes: list[str] = []
    members: list[Part] = []
    for number, part in enumerate(parts):
        own_folder = part_folder(folder, number)
        if part.kind != "answers":
            teacher = load.open_part(part, own_folder, splits)
            if part.kind == "specialist":
                teacher = _with_raised_dustbin(teacher, part.correction)
            for name in SCORED_PARTS:
                split: Split = getattr(splits, name)
                answers = load.teacher_answers(teacher, split, splits, f"teacher: {name} set", device)
                np.save(own_folder / f"{name}.npy", answers, allow_pickle=False)
            if part.kind in ("file", "call") and (doubt := splits.task.answers.doubt(answers, part.gives)):
                notes.append(f"{part.name} {doubt}")
        members.append(
            replace(part, validation=_validation_score(own_folder, splits) if part.kind != "specialist" else None)
        )
    load.describe(folder, members)
    names = [f"test_{name}" for name in splits.task.answers.archive_names]
    scores_by_way = {
        way: _combined_scores(folder, splits, way)
        for way in WAYS
        if way != "validation" or _have_validation_scores(members)
    }
    return {
        **scores_by_way["mean"],
        "combined": scores_by_way if len([part for part in parts if part.kind != "specialist"]) > 1 else None,
        "score_remedy": f"{' or '.join(names)} in the file of teacher.answers",
        "members": [asdict(part) for part in members],
        "size_bytes": _bytes_of(folder, members),
        "notes": notes,
    }


def _combined_scores(folder: Path, splits: Splits, way: Any) -> dict[str, float | None]:
    answers = load.answers_on(folder, splits, "test", way)
    test = None if answers is None else splits.task.scoring.score(answers, splits.test.y)
    answers = load.answers_on(folder, splits, "validation", way)
    validation = None if answers is None else splits.task.scoring.score(answers, splits.validation.y)
    return {
        "score": None if test is None else test.value,
        "score_error": None if test is None else test.error,
        "validation_score": None if validation is None else validation.value,
    }


def _have_validation_scores(parts: list[Part]) -> bool:
    return all(part.validation is not None for part in parts)


def _validation_score(folder: Path, splits: Splits) -> float | None:
    file = folder / "validation.npy"
    if not file.is_file():
        return None
    return splits.task.scoring.score(np.load(file, allow_pickle=False), splits.validation.y).value


def _bytes_of(folder: Path, parts: list[Part]) -> int | None:
    """Return the size of the teacher's file, where the teacher is one file."""
    if len(parts) != 1 or parts[0].kind != "file":
        return None
    path = part_folder(folder, 0) / parts[0].name
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _with_raised_dustbin(teacher: Teacher, correction: float) -> Teacher:
    return lambda batch: Outputs(load.raise_dustbin(torch.as_tensor(teacher(batch).logits), correction))
