"""The teacher: trained here on hard labels, or brought along as a factory and a checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.config import Augment, Compute, Config, Training
from edgekd.nn import blueprint, processes
from edgekd.nn.batches import Batch, applicable
from edgekd.nn.evaluate import accuracies, check_answer, count_parameters, logits
from edgekd.nn.fit import FitResult, fit
from edgekd.nn.foreign import load_checkpoint
from edgekd.nn.outputs import answer
from edgekd.nn.splits import Splits
from edgekd.teachers.frozen import STORED

VERSION = 1
BARELY_BETTER = 1.5  # times chance: below it, a teacher has nothing to teach


def train(
    model: nn.Module,
    splits: Splits,
    settings: Training,
    *,
    seed: int,
    compute: Compute,
    augment: Augment | None = None,
    checkpoint: Path | None = None,
    title: str = "teacher",
) -> FitResult:
    """Train `model` in place with cross-entropy on the labels."""

    def step(module: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(answer(module, batch.x).logits, batch.y)

    return fit(
        model, step, splits, settings, seed=seed, compute=compute, augment=augment, checkpoint=checkpoint, title=title
    )


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves `model/`, and `train_logits.npy` where training images stay as they are."""
    splits = Splits.load(read["data"])
    settings, augment = config.teacher, config.data.augment
    options = blueprint.fill_options(settings.model, settings.entry_options(), splits)
    plan = blueprint.Blueprint(settings.model, options)
    model = blueprint.build(plan, seed=config.seed)
    state = out / "training.ckpt"
    result, notes = FitResult(0, [], processes.world(), 0, "cpu"), []
    if settings.checkpoint is not None:
        notes += load_checkpoint(model, settings.checkpoint)
    check_answer(model, splits, f"teacher {settings.model!r}")
    if settings.checkpoint is None:
        result = train(
            model, splits, settings, seed=config.seed, compute=config.compute, augment=augment, checkpoint=state
        )
    metrics = processes.from_main(lambda: _finish(model, plan, splits, augment, result, out))
    notes += [*result.notes, *_doubts(metrics["validation_accuracy"], splits, settings.checkpoint)]
    state.unlink(missing_ok=True)
    return {**metrics, "trained": settings.checkpoint is None, "notes": notes}


def _finish(
    model: nn.Module, plan: blueprint.Blueprint, splits: Splits, augment: Augment, result: FitResult, out: Path
) -> dict[str, Any]:
    blueprint.save(model, plan, out / "model")
    if applicable(augment, splits) == Augment():
        answers = logits(model, splits.train, splits, device=result.device, title="teacher: keeping its answers")
        np.save(out / STORED, answers, allow_pickle=False)
    return {
        **accuracies(model, splits, device=result.device, title="teacher"),
        "parameters": count_parameters(model),
        "processes": result.processes,
        "resumed_from": result.resumed_from,
        "losses": result.losses,
    }


def _doubts(validation_accuracy: float, splits: Splits, checkpoint: Path | None) -> list[str]:
    chance = 100 / len(splits.classes)
    if validation_accuracy >= BARELY_BETTER * chance:
        return []
    barely = f"the teacher's validation accuracy is {validation_accuracy:.1f} %, where chance gives {chance:.1f} %"
    if checkpoint is not None:
        return [f"{barely}: do {checkpoint.name} and data.mean, data.std belong together?"]
    return [f"{barely}: it may want more teacher.epochs, or another teacher.learning_rate"]
