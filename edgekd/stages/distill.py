"""Distilling: a student learns from the teacher, and once more without it, to show what the teacher was worth."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.config import Augment, Compute, Config, Training
from edgekd.errors import ModelError
from edgekd.losses.total import total_loss
from edgekd.nn import blueprint, processes
from edgekd.nn.batches import Batch, batches
from edgekd.nn.evaluate import accuracies, check_answer, count_parameters
from edgekd.nn.fit import FitResult, fit
from edgekd.nn.foreign import load_checkpoint
from edgekd.nn.outputs import answer
from edgekd.nn.splits import Splits
from edgekd.teachers.frozen import Teacher, open_teacher

VERSION = 1


def distill(
    student: nn.Module,
    teacher: Teacher | None,
    loss: nn.Module | None,
    splits: Splits,
    settings: Training,
    *,
    seed: int,
    compute: Compute,
    augment: Augment | None = None,
    checkpoint: Path | None = None,
    title: str = "distill",
) -> FitResult:
    """Train `student` in place under `teacher` by `loss`, whose own parameters learn too.

    Without teacher and loss it learns from the labels alone, by cross-entropy.
    """
    trained = nn.ModuleDict({"student": student, "loss": loss} if loss is not None else {"student": student})

    def step(module: nn.Module, batch: Batch) -> Tensor:
        answered = answer(module.get_submodule("student"), batch.x)
        if teacher is None or loss is None:
            return F.cross_entropy(answered.logits, batch.y)
        told: Tensor = module.get_submodule("loss")(answered, teacher(batch), batch.y)
        return told

    return fit(
        trained, step, splits, settings, seed=seed, compute=compute, augment=augment, checkpoint=checkpoint, title=title
    )


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves `model/`, the distilled student."""
    splits = Splits.load(read["data"])
    settings, trains = config.distill, config.distill.epochs > 0
    teacher = open_teacher(read["teacher"], splits, settings.precision)
    loss = total_loss(settings.losses)
    options = blueprint.fill_options(config.student.model, config.student.entry_options(), splits)
    plan = blueprint.Blueprint(config.student.model, options)
    student = blueprint.build(plan, seed=config.seed)
    notes = []
    if config.student.checkpoint is not None:
        notes += load_checkpoint(student, config.student.checkpoint)
    check_answer(student, splits, f"student {config.student.model!r}")
    _check_classes(teacher, splits)
    kept = {"student": out / "training.ckpt", "baseline": out / "baseline.ckpt"}
    result = FitResult(0, [], processes.world(), 0, "cpu")
    if trains:
        result = distill(
            student, teacher, loss, splits, settings,
            seed=config.seed, compute=config.compute, augment=config.data.augment, checkpoint=kept["student"],
        )  # fmt: skip
    metrics = processes.from_main(lambda: _finish(student, plan, splits, result, out))
    notes += result.notes
    resumed_from = result.resumed_from
    baseline: dict[str, float | None] = {"accuracy": None, "validation_accuracy": None}
    if settings.baseline and trains:
        alone = blueprint.build(plan, seed=config.seed)
        if config.student.checkpoint is not None:
            load_checkpoint(alone, config.student.checkpoint)
        second = distill(
            alone, None, None, splits, settings,
            seed=config.seed, compute=config.compute, augment=config.data.augment, checkpoint=kept["baseline"],
            title="distill: the same student without the teacher",
        )  # fmt: skip
        judge = partial(accuracies, alone, splits, device=second.device, title="distill: without the teacher")
        baseline.update(processes.from_main(judge))
        notes += [note for note in second.notes if note not in notes]
        resumed_from += second.resumed_from
    for file in kept.values():
        file.unlink(missing_ok=True)
    return {
        **metrics,
        **{f"baseline_{name}": value for name, value in baseline.items()},
        "resumed_from": resumed_from,
        "skipped": not trains,
        "notes": notes,
    }


def _finish(
    student: nn.Module, plan: blueprint.Blueprint, splits: Splits, result: FitResult, out: Path
) -> dict[str, Any]:
    blueprint.save(student, plan, out / "model")
    return {
        **accuracies(student, splits, device=result.device, title="distill"),
        "parameters": count_parameters(student),
        "processes": result.processes,
        "losses": result.losses,
    }


def _check_classes(teacher: Teacher, splits: Splits) -> None:
    """Before any training: the teacher answers for as many classes as the data has."""
    batch = next(batches(splits.train, splits, 2))
    with torch.no_grad():
        shape = tuple(teacher(batch).logits.shape)
    wanted = (len(batch.y), len(splits.classes))
    if shape != wanted:
        raise ModelError(
            f"the teacher gives logits of shape {shape}, the student of shape {wanted}",
            f"a teacher for the data's {wanted[1]} classes",
        )
