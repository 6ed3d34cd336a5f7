"""The prune stage: it removes whole channels from the student in a few cuts, and trains with the teacher after each.

Channels of all layers are ranked together, so layers end up with different widths (global pruning, as in Liu et al.,
2017, and Molchanov et al., 2019). Between cuts the network recovers, and the remaining channels are ranked anew.
"""

import copy
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.catalog.formats import judged_format
from edgekd.config import Augment, Compute, Config, Limits, Prune
from edgekd.data.batches import Batch, Views
from edgekd.data.splits import Splits
from edgekd.distillation.losses.total import response_loss
from edgekd.distillation.run import Teacher
from edgekd.distillation.teachers.answers import views_of
from edgekd.distillation.teachers.load import open_teacher
from edgekd.errors import ConfigError
from edgekd.formats.estimate import forecast
from edgekd.nn import blueprint
from edgekd.nn.outputs import answer
from edgekd.pruning.groups import Channels, cut, find, name_of
from edgekd.pruning.saliency import SaliencyData
from edgekd.pruning.selection import Budget, Criterion, Goal, Miss, choose
from edgekd.pruning.widths import Cost, cost_model
from edgekd.tasks.task import Task
from edgekd.training import distributed
from edgekd.training.evaluate import answers_of, scores
from edgekd.training.fit import fit

VERSION = 4


@dataclass(frozen=True)
class Step:
    """The costs and the score of the network after a cut and its recovery, with notes on what could not be cut."""

    macs: int
    parameters: int
    validation_score: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pruned:
    """A network and the cuts that led to it; there are none where it was small enough from the start."""

    model: nn.Module
    steps: tuple[Step, ...] = ()


def prune(
    model: nn.Module,
    splits: Splits,
    teacher: Teacher,
    loss: nn.Module,
    settings: Prune,
    criterion: Criterion,
    *,
    seed: int,
    compute: Compute,
    augment: Augment | None = None,
    views: Views | None = None,
    budget: Budget | None = None,
    resume: Pruned | None = None,
    checkpoint: Path | None = None,
    after_step: Callable[[Pruned], nn.Module] | None = None,
) -> Pruned:
    """Cut `model` in at most `settings.steps` cuts, to the share that is to remain or until `budget` misses nothing.

    Each cut takes the same factor of what is left (a geometric schedule). Its recovery ends with the state after the
    last epoch, not with the best one on validation. A network that meets its goal early is cut no further.

    Args:
        criterion: `(group, batch, **options) -> scores`; its options are in `settings`.
        views: the augmentation views for which the teacher's outputs are stored.
        budget: returns the limits that a candidate misses; required where `settings.until` is "limits".
        resume: the network of an interrupted run, from which to go on.
        checkpoint: the file in which the current recovery saves its state.
        after_step: called after each step. It returns the network to go on with, so that a caller that saves the step
            can go on from the saved copy, as a resumed run will.
    """
    unpruned_cost = cost_model(model, splits.example).at(())
    pruned = resume or Pruned(model)
    while len(pruned.steps) < settings.steps:
        number = len(pruned.steps) + 1
        student, step_seed = pruned.model, seed + number
        recovery_loss = copy.deepcopy(loss)  # its adapters start afresh, as they do in a resumed run
        channels = find(student, splits.example)
        goal = Goal(settings, unpruned_cost, budget, settings.steps - len(pruned.steps))
        loss_of = _loss_of(student, teacher, recovery_loss)
        saliency_data = SaliencyData(student, splits, settings.batch_size, loss_of, step_seed)
        # The main process decides for all: a last bit that differs between machines could change the order.
        kept_channels = distributed.from_main(lambda: choose(student, channels, saliency_data, criterion, goal))  # noqa: B023
        if kept_channels is None:
            break
        width_notes = _width_notes(channels, kept_channels, settings.channel_multiple)
        cut(channels.groups, kept_channels)
        result = fit(
            nn.ModuleDict({"student": student, "loss": recovery_loss}),
            _recovery_step(teacher),
            splits,
            settings,
            seed=step_seed,
            compute=compute,
            augment=augment,
            views=views,
            checkpoint=checkpoint,
            title=f"prune: recovery {number} of {settings.steps}",
        )
        notes = [*channels.notes, *width_notes, *result.notes]
        step = distributed.from_main(lambda: _step(student, splits, notes, result.device))  # noqa: B023
        pruned = Pruned(student, (*pruned.steps, step))
        if after_step:
            pruned = Pruned(after_step(pruned), pruned.steps)
    return pruned


def _recovery_step(teacher: Teacher) -> Callable[[nn.Module, Batch], Tensor]:
    def step(module: nn.Module, batch: Batch) -> Tensor:
        outputs = answer(module.get_submodule("student"), batch.x)
        value: Tensor = module.get_submodule("loss")(outputs, teacher(batch), batch.y)
        return value

    return step


def _loss_of(student: nn.Module, teacher: Teacher, loss: nn.Module) -> Callable[[Batch], Tensor]:
    def loss_of(batch: Batch) -> Tensor:
        value: Tensor = loss(answer(student, batch.x), teacher(batch), batch.y)
        return value

    return loss_of


def _width_notes(channels: Channels, kept_channels: Sequence[Sequence[int]], multiple: int) -> list[str]:
    return [
        f"{name_of(group)} keeps its {len(indices)} channels, no multiple of {multiple}"
        for group, indices in zip(channels.groups, kept_channels, strict=True)
        if len(indices) % multiple
    ]


def _step(student: nn.Module, splits: Splits, notes: Sequence[str], device: str) -> Step:
    cost = cost_model(student, splits.example).at(())
    answers = answers_of(student, splits.validation, splits, device=device, title="prune: validation set")
    score = splits.task.scoring.score(answers, splits.validation.y)
    return Step(cost.macs, cost.parameters, score.value, tuple(notes))


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Prune the distilled student into `out`/model; each finished step is saved in `out` until all are done."""
    splits = Splits.load(folders["data"])
    model, plan = blueprint.load(folders["distill"] / "model")
    cost_before = cost_model(model, splits.example).at(())
    settings = config.prune
    pruned, answers = Pruned(model), folders.get("answers")
    if settings.criterion != "none" and (settings.keep < 1 or settings.until == "limits"):
        teacher = open_teacher(
            folders["teacher"], splits, settings.precision, answers=answers, combine=config.distill.combine
        )
        pruned = prune(
            model,
            splits,
            teacher,
            _fresh_loss(config, splits.task),
            settings,
            catalog.load("criterion", settings.criterion),
            seed=config.seed,
            compute=config.compute,
            augment=config.data.augment,
            views=views_of(answers),
            budget=_budget(config.limits, splits, config.export.formats) if settings.until == "limits" else None,
            resume=_load_last_step(out),
            checkpoint=out / "recovery.ckpt",
            after_step=lambda pruned_model: _save_step(pruned_model, plan, out),
        )
    return distributed.from_main(lambda: _finish(pruned, cost_before, plan, splits, out))


def _finish(pruned: Pruned, cost_before: Cost, plan: blueprint.Blueprint, splits: Splits, out: Path) -> dict[str, Any]:
    """Save the network, remove the files of a resumed run, and evaluate; for the main process alone."""
    blueprint.save(pruned.model, plan, out / "model")
    shutil.rmtree(out / "steps", ignore_errors=True)
    (out / "recovery.ckpt").unlink(missing_ok=True)
    cost_after = cost_model(pruned.model, splits.example).at(())
    return {
        **scores(pruned.model, splits, title="prune"),
        "parameters": cost_after.parameters,
        "parameters_before": cost_before.parameters,
        "macs": cost_after.macs,
        "macs_before": cost_before.macs,
        "steps": [{key: value for key, value in asdict(step).items() if key != "notes"} for step in pruned.steps],
        "skipped": not pruned.steps,
        "processes": distributed.world(),
        "notes": list(dict.fromkeys(note for step in pruned.steps for note in step.notes)),
    }


def _fresh_loss(config: Config, task: Task) -> nn.Module:
    """Return the distillation loss; the initial weights of its adapters depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return response_loss(config.distill.losses, task)


def _budget(limits: Limits, splits: Splits, formats: tuple[str, ...]) -> Budget:
    """Return a function from a model to the limits that it misses, by the exporter's and the memory plan's estimate."""
    forecasts = {
        "size_bytes": lambda estimate: estimate.size_bytes,
        "flash_bytes": lambda estimate: estimate.size_bytes,
        "peak_ram_bytes": lambda estimate: estimate.peak_ram_bytes,
    }
    limit_values = {name: int(getattr(limits, name)) for name in forecasts if getattr(limits, name) is not None}
    if not limit_values:
        raise ConfigError(
            'prune.until = "limits", and the target sets no limit on size or RAM',
            "--set limits.size_bytes=100kB, or --set prune.until=share",
        )

    def misses(model: nn.Module) -> list[Miss]:
        decoding = splits.task.answers.decoding
        estimate = forecast(model, splits.example, splits.classes, (judged_format(formats),), decoding=decoding)
        estimates = {name: int(forecasts[name](estimate)) for name in limit_values}
        return [Miss(name, limit, estimates[name]) for name, limit in limit_values.items() if estimates[name] > limit]

    return misses


def _save_step(pruned: Pruned, plan: blueprint.Blueprint, out: Path) -> nn.Module:
    """Save a finished step atomically and load it: uninterrupted and resumed builds go on from the same copy."""
    folder = out / "steps" / str(len(pruned.steps))
    if distributed.is_main():
        partial_folder = folder.with_suffix(".part")
        shutil.rmtree(partial_folder, ignore_errors=True)
        blueprint.save(pruned.model, plan, partial_folder)
        text = json.dumps([asdict(step) for step in pruned.steps])
        (partial_folder / "steps.json").write_text(text, encoding="utf-8")
        partial_folder.replace(folder)
        (out / "recovery.ckpt").unlink(missing_ok=True)
    distributed.barrier()
    return blueprint.load(folder)[0]


def _load_last_step(out: Path) -> Pruned | None:
    """Return the network after the last step that an interrupted run has saved."""
    numbers = sorted(int(folder.name) for folder in (out / "steps").glob("*") if folder.name.isdigit())
    if not numbers:
        return None
    folder = out / "steps" / str(numbers[-1])
    saved_steps = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
    steps = tuple(Step(**{**step, "notes": tuple(step["notes"])}) for step in saved_steps)
    return Pruned(blueprint.load(folder)[0], steps)
