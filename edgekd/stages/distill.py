"""Distilling: a student learns from the teacher, and once more without it, to show what the teacher was worth."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd import catalog
from edgekd.config import Config
from edgekd.errors import ModelError
from edgekd.losses.total import TotalLoss, total_loss
from edgekd.nn import blueprint, processes
from edgekd.nn.batches import batches
from edgekd.nn.evaluate import accuracies, check_answer, count_parameters
from edgekd.nn.fit import FitResult
from edgekd.nn.foreign import load_checkpoint
from edgekd.nn.lesson import Lesson, Teacher, learn
from edgekd.nn.options import typed
from edgekd.nn.splits import Splits
from edgekd.teachers.answers import views_of
from edgekd.teachers.opening import open_network, open_teacher

VERSION = 3


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves `model/`, the distilled student."""
    splits = Splits.load(read["data"])
    settings, trains = config.distill, config.distill.epochs > 0
    options = blueprint.fill_options(config.student.model, config.student.entry_options(), splits)
    plan = blueprint.Blueprint(config.student.model, options)
    notes: list[str] = []

    def fresh(seed: int) -> nn.Module:
        student = blueprint.build(plan, seed=seed)
        if config.student.checkpoint is not None:
            notes.extend(note for note in load_checkpoint(student, config.student.checkpoint) if note not in notes)
        return student

    student = fresh(config.seed)
    check_answer(student, splits, f"student {config.student.model!r}")
    network = open_network(read["teacher"])
    connect = partial(_connected, config, splits)
    loss = connect(student, network)
    answers = None if loss.teacher_layers else read.get("answers")
    teacher = open_teacher(read["teacher"], splits, settings.precision, loss.teacher_layers, answers, settings.combine)
    _check_classes(teacher, splits)
    lesson = Lesson(
        student, fresh, teacher, loss, loss.student_layers, splits, settings,
        config.seed, config.compute, config.data.augment, views_of(answers), out / "training.ckpt",
        teacher_network=None if network is None else partial(copy.deepcopy, network), connect=connect,
    )  # fmt: skip
    result = FitResult(0, [], processes.world(), 0, "cpu")
    if trains:
        scheme = catalog.load("scheme", settings.scheme.name)
        result = scheme(lesson, **_scheme_options(config))
    metrics = processes.from_main(lambda: _finish(student, plan, splits, result, out))
    notes += result.notes
    resumed_from = result.resumed_from
    baseline: dict[str, float | None] = {"accuracy": None, "validation_accuracy": None}
    if settings.baseline and trains:
        alone = replace(
            lesson, student=fresh(config.seed), teacher=None, loss=None, layers=(), views=None,
            checkpoint=out / "baseline.ckpt", title="distill: the same student without the teacher",
        )  # fmt: skip
        second = learn(alone)
        judge = partial(accuracies, alone.student, splits, device=second.device, title="distill: without the teacher")
        baseline.update(processes.from_main(judge))
        notes += [note for note in second.notes if note not in notes]
        resumed_from += second.resumed_from
    for file in out.glob("*.ckpt"):
        file.unlink(missing_ok=True)
    return {
        **metrics,
        **{f"baseline_{name}": value for name, value in baseline.items()},
        "scheme": settings.scheme.name,
        "figures": dict(result.figures),
        "layers": {"student": loss.student_layers, "teacher": loss.teacher_layers},
        "resumed_from": resumed_from,
        "skipped": not trains,
        "notes": notes,
    }


def foresee(config: Config, data: Path) -> None:
    """Refuse options that the scheme can't take before even the teacher is trained."""
    _scheme_options(config)


def _scheme_options(config: Config) -> dict[str, Any]:
    scheme = config.distill.scheme
    return typed("scheme", scheme.name, scheme.entry_options(), "distill.scheme")


def _connected(config: Config, splits: Splits, student: nn.Module, teacher: nn.Module | None) -> TotalLoss:
    """The loss with its layers chosen; what its adapters start from depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        loss = total_loss(config.distill.losses)
        loss.connect(student, teacher, splits)
    return loss


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
