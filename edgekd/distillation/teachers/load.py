"""The teacher stage's artifact as the callable that distilling, recovering and quantising train under.

It holds `model/`, one network, or else `teacher.json` and `parts/0`, `parts/1` and so on: several networks,
specialists, or teachers from outside torch. `asked` makes one callable of them; `open_teacher` puts stored answers in
front of it.
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
from edgekd.distillation.ensemble import as_one
from edgekd.distillation.run import Teacher, frozen
from edgekd.distillation.teachers import specialists
from edgekd.distillation.teachers.answers import Stored
from edgekd.distillation.teachers.external import Gives, Takes, call_of, external_teacher, open_file
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
        name: of the file, or "package.module:function".
        classes: that a specialist knows; the generalist and all others know all.
        correction: of a specialist's dustbin.
        validation: its score on validation; None where it is not known.
    """

    kind: Literal["network", "file", "call", "answers", "specialist"]
    name: str = ""
    gives: Gives = "logits"
    input: Takes = "normalised"
    classes: tuple[int, ...] = ()
    correction: float = 0.0
    validation: float | None = None


def describe(folder: Path, parts: Sequence[Part]) -> None:
    """Leave `teacher.json`."""
    text = json.dumps([asdict(part) for part in parts], indent=1)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def parts_of(folder: Path) -> tuple[Part, ...]:
    """What `describe` left; () where the teacher is one network, in `model/`."""
    file = folder / DESCRIPTION
    if not file.is_file():
        return ()
    return tuple(Part(**{**part, "classes": tuple(part["classes"])}) for part in json.loads(file.read_text("utf-8")))


def place(folder: Path, number: int) -> Path:
    """Where a part lies."""
    return folder / "parts" / str(number)


def open_teacher(
    folder: Path,
    splits: Splits,
    precision: Precision = "32",
    layers: Sequence[str] = (),
    answers: Path | None = None,
    combine: Combine = "mean",
) -> Teacher:
    """The teacher. Its stored answers serve for batches of the stored views; for others it is asked itself.

    Args:
        splits: those that it was trained on; stored answers belong to the samples of `splits.train` alone.
        precision: of the running network.
        layers: whose outputs are wanted too; then the network is run.
        answers: the folder of stored answers.
    """

    @cache
    def itself() -> Teacher:
        return load_teacher(folder, splits, precision, layers, combine)

    stored = Stored(answers, splits) if answers is not None and not layers else None

    def ask(batch: Batch) -> Outputs:
        return stored(batch) if stored is not None and batch in stored else itself()(batch)

    return ask


def load_teacher(
    folder: Path, splits: Splits, precision: Precision = "32", layers: Sequence[str] = (), combine: Combine = "mean"
) -> Teacher:
    """The teacher itself, all its parts as one."""
    parts = parts_of(folder)
    if not parts:
        return frozen(blueprint.load(folder / "model")[0], precision, layers)
    opened = [open_part(part, place(folder, number), splits, precision) for number, part in enumerate(parts)]
    if any(part.kind == "specialist" for part in parts):
        return _with_specialists(opened[0], opened[1:], parts[1:])
    return opened[0] if len(parts) == 1 else as_one(opened, splits.task, combine, [part.validation for part in parts])


def open_network(folder: Path) -> nn.Module | None:
    """The network whose layers a loss may look at; None where there is no one torch module."""
    return blueprint.load(folder / "model")[0] if (folder / "model").is_dir() else None


def open_part(part: Part, folder: Path, splits: Splits, precision: Precision = "32") -> Teacher:
    """One of several teachers."""
    if part.kind in ("network", "specialist"):
        return frozen(blueprint.load(folder / "model")[0], precision)
    if part.kind == "answers":
        return precomputed_teacher(np.load(folder / "train.npy", mmap_mode="r", allow_pickle=False))
    if part.kind == "call":
        return external_teacher(call_of(part.name), splits, part.gives, part.input, f"teacher.call {part.name}")
    run = open_file(folder / part.name, splits, raw=part.input == "raw")
    return external_teacher(run, splits, part.gives, part.input, f"teacher.file {part.name}")


def precomputed_teacher(answers: np.ndarray) -> Teacher:
    """Answers that came without their teacher, (training samples, *answer shape), whatever augmentation does."""

    def look_up(batch: Batch) -> Outputs:
        rows = np.asarray(answers[batch.index.cpu().numpy()], np.float32)
        return Outputs(torch.from_numpy(rows).to(batch.x.device), index=batch.index)

    return look_up


def answers_alone(folder: Path) -> bool:
    """Whether there is nobody to ask, so that answers are the same for every view."""
    parts = parts_of(folder)
    return bool(parts) and all(part.kind == "answers" for part in parts)


def answers_on(
    folder: Path, splits: Splits, part: Literal["validation", "test"], combine: Combine = "mean"
) -> np.ndarray | None:
    """What the teacher says of the samples of a split, (N, *answer shape); None where that is not known."""
    parts = parts_of(folder)
    if not parts:
        return teacher_answers(load_teacher(folder, splits), getattr(splits, part), splits, f"teacher: {part} set")
    files = [place(folder, number) / f"{part}.npy" for number in range(len(parts))]
    if not all(file.is_file() for file in files):
        return None
    answers = [torch.from_numpy(np.load(file, allow_pickle=False)) for file in files]
    if any(found.kind == "specialist" for found in parts):
        groups = [found.classes for found in parts[1:]]
        return specialists.combined(answers[0], answers[1:], groups).numpy()
    together = splits.task.answers.combine
    if together is None:  # then there is one teacher: several were refused before they were made
        return answers[0].numpy()
    return together(torch.stack(answers), combine, [found.validation for found in parts]).numpy()


def teacher_answers(
    teacher: Teacher, split: Split, splits: Splits, title: str, device: torch.device | str = "cpu"
) -> np.ndarray:
    """A teacher's answers over a split, (N, *answer shape)."""
    found = []
    with torch.no_grad(), progress(title, len(split)) as advance:
        for batch in batches(split, splits, 256, device=device):
            found.append(teacher(batch).logits.float().cpu().numpy())
            advance(len(batch.y), "")
    return np.concatenate(found)


def corrected(logits: torch.Tensor, correction: float) -> torch.Tensor:
    """A specialist's logits, the dustbin's raised."""
    return torch.cat([logits[:, :-1], logits[:, -1:] + correction], dim=1)


def _with_specialists(generalist: Teacher, others: Sequence[Teacher], parts: Sequence[Part]) -> Teacher:
    def ask(batch: Batch) -> Outputs:
        answers = [corrected(one(batch).logits, part.correction) for one, part in zip(others, parts, strict=True)]
        logits = specialists.combined(generalist(batch).logits, answers, [part.classes for part in parts])
        return Outputs(logits, index=batch.index)

    return ask
