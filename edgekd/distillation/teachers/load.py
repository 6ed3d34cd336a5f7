"""Loads the teacher stage's artifact as the callable by which the student is distilled, recovered and quantised.

The artifact holds `model/`, one network, or else `teacher.json` and `parts/0`, `parts/1` and so on: several networks,
specialists, or teachers from outside torch. `load_teacher` makes one callable of them; `open_teacher` reads stored
answers where there are any.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from edgekd.data.batches import Batch, batches
from edgekd.data.splits import Split, Splits
from edgekd.distillation.ensemble import combine_teachers
from edgekd.distillation.run import Teacher, network_teacher
from edgekd.distillation.teachers import specialists
from edgekd.distillation.teachers.answers import StoredAnswers
from edgekd.distillation.teachers.external import Gives, Takes, external_teacher, load_function, open_file
from edgekd.nn import blueprint
from edgekd.nn.outputs import Outputs
from edgekd.tasks.task import Combine
from edgekd.training.progress import progress

Precision = Literal["32", "bf16"]
DESCRIPTION = "teacher.json"


@dataclass(frozen=True)
class Part:
    """One of the teachers in `parts/`.

    Attributes:
        name: name of the file, or "package.module:function".
        classes: the classes that a specialist tells apart; () for the generalist and all others, which know all.
        correction: what is added to the logit of a specialist's dustbin.
        validation: its validation score; None where it is not known.
    """

    kind: Literal["network", "file", "call", "answers", "specialist"]
    name: str = ""
    gives: Gives = "logits"
    input: Takes = "normalised"
    classes: tuple[int, ...] = ()
    correction: float = 0.0
    validation: float | None = None


def describe(folder: Path, parts: Sequence[Part]) -> None:
    """Write `teacher.json`."""
    text = json.dumps([asdict(part) for part in parts], indent=1)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def parts_of(folder: Path) -> tuple[Part, ...]:
    """Read `teacher.json`; () where the teacher is one network, in `model/`."""
    file = folder / DESCRIPTION
    if not file.is_file():
        return ()
    return tuple(Part(**{**part, "classes": tuple(part["classes"])}) for part in json.loads(file.read_text("utf-8")))


def part_folder(folder: Path, number: int) -> Path:
    """Return the folder of a part."""
    return folder / "parts" / str(number)


def open_teacher(
    folder: Path,
    splits: Splits,
    precision: Precision = "32",
    layers: Sequence[str] = (),
    answers: Path | None = None,
    combine: Combine = "mean",
) -> Teacher:
    """Return the teacher, which reads stored answers for batches of the stored views, and runs for others.

    Args:
        splits: those that it was trained on; stored answers belong to the samples of `splits.train` alone.
        precision: precision in which its network runs.
        layers: names of layers whose outputs are needed; then the network always runs.
        answers: the folder of stored answers.
    """

    @cache
    def teacher() -> Teacher:
        return load_teacher(folder, splits, precision, layers, combine)

    stored_answers = StoredAnswers(answers, splits) if answers is not None and not layers else None

    def ask(batch: Batch) -> Outputs:
        return stored_answers(batch) if stored_answers is not None and batch in stored_answers else teacher()(batch)

    return ask


def load_teacher(
    folder: Path, splits: Splits, precision: Precision = "32", layers: Sequence[str] = (), combine: Combine = "mean"
) -> Teacher:
    """Return the teacher without stored answers, its parts combined."""
    parts = parts_of(folder)
    if not parts:
        return network_teacher(blueprint.load(folder / "model")[0], precision, layers)
    teachers = [open_part(part, part_folder(folder, number), splits, precision) for number, part in enumerate(parts)]
    if any(part.kind == "specialist" for part in parts):
        return _with_specialists(teachers[0], teachers[1:], parts[1:])
    return (
        teachers[0]
        if len(parts) == 1
        else combine_teachers(teachers, splits.task, combine, [part.validation for part in parts])
    )


def open_network(folder: Path) -> nn.Module | None:
    """Return the network whose layers a loss may compare; None where the teacher is not a single torch module."""
    return blueprint.load(folder / "model")[0] if (folder / "model").is_dir() else None


def open_part(part: Part, folder: Path, splits: Splits, precision: Precision = "32") -> Teacher:
    """Return one of several teachers."""
    if part.kind in ("network", "specialist"):
        return network_teacher(blueprint.load(folder / "model")[0], precision)
    if part.kind == "answers":
        return precomputed_teacher(np.load(folder / "train.npy", mmap_mode="r", allow_pickle=False))
    if part.kind == "call":
        return external_teacher(load_function(part.name), splits, part.gives, part.input, f"teacher.call {part.name}")
    run = open_file(folder / part.name, splits, raw=part.input == "raw")
    return external_teacher(run, splits, part.gives, part.input, f"teacher.file {part.name}")


def precomputed_teacher(answers: np.ndarray) -> Teacher:
    """Return a teacher of answers that came without it, (training samples, *answer shape), for every augmentation."""

    def look_up(batch: Batch) -> Outputs:
        rows = np.asarray(answers[batch.index.cpu().numpy()], np.float32)
        return Outputs(torch.from_numpy(rows).to(batch.x.device), index=batch.index)

    return look_up


def has_only_answers(folder: Path) -> bool:
    """Return whether only answers are left of every teacher, which are then the same for every view."""
    parts = parts_of(folder)
    return bool(parts) and all(part.kind == "answers" for part in parts)


def answers_on(
    folder: Path, splits: Splits, part: Literal["validation", "test"], combine: Combine = "mean"
) -> np.ndarray | None:
    """Return the teacher's answers to the samples of a split, (N, *answer shape); None where they are not known."""
    parts = parts_of(folder)
    if not parts:
        return teacher_answers(load_teacher(folder, splits), getattr(splits, part), splits, f"teacher: {part} set")
    files = [part_folder(folder, number) / f"{part}.npy" for number in range(len(parts))]
    if not all(file.is_file() for file in files):
        return None
    answers = [torch.from_numpy(np.load(file, allow_pickle=False)) for file in files]
    if any(member.kind == "specialist" for member in parts):
        groups = [member.classes for member in parts[1:]]
        return specialists.combine_logits(answers[0], answers[1:], groups).numpy()
    combine_answers = splits.task.answers.combine
    if combine_answers is None:  # then there is one teacher, since `check_several` refuses more
        return answers[0].numpy()
    return combine_answers(torch.stack(answers), combine, [member.validation for member in parts]).numpy()


def teacher_answers(
    teacher: Teacher, split: Split, splits: Splits, title: str, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Return a teacher's answers to a split, (N, *answer shape)."""
    answers = []
    with torch.no_grad(), progress(title, len(split)) as advance:
        for batch in batches(split, splits, 256, device=device):
            answers.append(teacher(batch).logits.float().cpu().numpy())
            advance(len(batch.y), "")
    return np.concatenate(answers)


def raise_dustbin(logits: torch.Tensor, correction: float) -> torch.Tensor:
    """Add the correction to the last of a specialist's logits, the dustbin's."""
    return torch.cat([logits[:, :-1], logits[:, -1:] + correction], dim=1)


def _with_specialists(generalist: Teacher, others: Sequence[Teacher], parts: Sequence[Part]) -> Teacher:
    def ask(batch: Batch) -> Outputs:
        answers = [raise_dustbin(one(batch).logits, part.correction) for one, part in zip(others, parts, strict=True)]
        logits = specialists.combine_logits(generalist(batch).logits, answers, [part.classes for part in parts])
        return Outputs(logits, index=batch.index)

    return ask
