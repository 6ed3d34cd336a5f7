"""The prune stage: whole channels leave the student in a few cuts, each healed by training under the teacher.

Channels of all layers are ranked together, so layers end up with different widths (global pruning, as in Liu et al.,
2017, and Molchanov et al., 2019). Between cuts the network recovers, and what is left is ranked anew.
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
    """What is left after a cut and its recovery, and what could not be cut."""

    macs: int
    parameters: int
    validation_score: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pruned:
    """A network, and the cuts that made it; no cut where it was small enough."""

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
    last epoch, not with the best one on validation. A network that has reached its goal early is cut no further.

    Args:
        criterion: `(group, batch, **options) -> scores`; its options stand in `settings`.
        views: those that the teacher's answers are stored for.
        budget: what a candidate still misses; given where `settings.until` is "limits".
        resume: what an earlier try had reached.
        checkpoint: the file of the recovery under way.
        after_step: told of each step. It gives back the network to go on with, so that a caller that sets it aside can
            go on from that copy, as a resumed try will.
    """
    whole = cost_model(model, splits.example).at(())
    pruned = resume or Pruned(model)
    while len(pruned.steps) < settings.steps:
        number = len(pruned.steps) + 1
        student, chance = pruned.model, seed + number
        healing = copy.deepcopy(loss)  # its adapters start afresh, as they do in a resumed try
        channels = find(student, splits.example)
        goal = Goal(settings, whole, budget, settings.steps - len(pruned.steps))
        evidence = SaliencyData(student, splits, settings.batch_size, _loss_of(student, teacher, healing), chance)
        # The main process decides for all: a last bit that differs between machines could change the order.
        stays = distributed.from_main(lambda: choose(student, channels, evidence, criterion, goal))  # noqa: B023
        if stays is None:
            break
        odd = _odd_widths(channels, stays, settings.channel_multiple)
        cut(channels.groups, stays)
        result = fit(
            nn.ModuleDict({"student": student, "loss": healing}),
            _recover(teacher),
            splits,
            settings,
            seed=chance,
            compute=compute,
            augment=augment,
            views=views,
            checkpoint=checkpoint,
            title=f"prune: recovery {number} of {settings.steps}",
        )
        notes = [*channels.notes, *odd, *result.notes]
        step = distributed.from_main(lambda: _step(student, splits, notes, result.device))  # noqa: B023
        pruned = Pruned(student, (*pruned.steps, step))
        if after_step:
            pruned = Pruned(after_step(pruned), pruned.steps)
    return pruned


def _recover(teacher: Teacher) -> Callable[[nn.Module, Batch], Tensor]:
    def step(module: nn.Module, batch: Batch) -> Tensor:
        answered = answer(module.get_submodule("student"), batch.x)
        value: Tensor = module.get_submodule("loss")(answered, teacher(batch), batch.y)
        return value

    return step


def _loss_of(student: nn.Module, teacher: Teacher, loss: nn.Module) -> Callable[[Batch], Tensor]:
    def loss_of(batch: Batch) -> Tensor:
        value: Tensor = loss(answer(student, batch.x), teacher(batch), batch.y)
        return value

    return loss_of


def _odd_widths(channels: Channels, stays: Sequence[Sequence[int]], multiple: int) -> list[str]:
    return [
        f"{name_of(group)} keeps its {len(left)} channels, no multiple of {multiple}"
        for group, left in zip(channels.groups, stays, strict=True)
        if len(left) % multiple
    ]


def _step(student: nn.Module, splits: Splits, notes: Sequence[str], device: str) -> Step:
    cost = cost_model(student, splits.example).at(())
    found = answers_of(student, splits.validation, splits, device=device, title="prune: validation set")
    score = splits.task.scoring.score(found, splits.validation.y)
    return Step(cost.macs, cost.parameters, score.value, tuple(notes))


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Prune the distilled student into `out`/model; each finished step is kept in `out` until all are done."""
    splits = Splits.load(read["data"])
    model, plan = blueprint.load(read["distill"] / "model")
    before = cost_model(model, splits.example).at(())
    settings = config.prune
    pruned, answers = Pruned(model), read.get("answers")
    if settings.criterion != "none" and (settings.keep < 1 or settings.until == "limits"):
        pruned = prune(
            model,
            splits,
            open_teacher(read["teacher"], splits, settings.precision, answers=answers, combine=config.distill.combine),
            _fresh_loss(config, splits.task),
            settings,
            catalog.load("criterion", settings.criterion),
            seed=config.seed,
            compute=config.compute,
            augment=config.data.augment,
            views=views_of(answers),
            budget=_budget(config.limits, splits, config.export.formats) if settings.until == "limits" else None,
            resume=_finished(out),
            checkpoint=out / "recovery.ckpt",
            after_step=lambda so_far: _set_aside(so_far, plan, out),
        )
    return distributed.from_main(lambda: _finish(pruned, before, plan, splits, out))


def _finish(pruned: Pruned, before: Cost, plan: blueprint.Blueprint, splits: Splits, out: Path) -> dict[str, Any]:
    """In the main process: save the network, clear away what a resumed try would have needed, and measure."""
    blueprint.save(pruned.model, plan, out / "model")
    shutil.rmtree(out / "steps", ignore_errors=True)
    (out / "recovery.ckpt").unlink(missing_ok=True)
    after = cost_model(pruned.model, splits.example).at(())
    return {
        **scores(pruned.model, splits, title="prune"),
        "parameters": after.parameters,
        "parameters_before": before.parameters,
        "macs": after.macs,
        "macs_before": before.macs,
        "steps": [{key: value for key, value in asdict(step).items() if key != "notes"} for step in pruned.steps],
        "skipped": not pruned.steps,
        "processes": distributed.world(),
        "notes": list(dict.fromkeys(note for step in pruned.steps for note in step.notes)),
    }


def _fresh_loss(config: Config, task: Task) -> nn.Module:
    """The distillation loss; what its adapters start from depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return response_loss(config.distill.losses, task)


def _budget(limits: Limits, splits: Splits, formats: tuple[str, ...]) -> Budget:
    """Size and RAM as the exporter and the memory plan will have them, against the target's limits."""
    forecasts = {
        "size_bytes": lambda found: found.size_bytes,
        "flash_bytes": lambda found: found.size_bytes,
        "peak_ram_bytes": lambda found: found.peak_ram_bytes,
    }
    allowed = {name: int(getattr(limits, name)) for name in forecasts if getattr(limits, name) is not None}
    if not allowed:
        raise ConfigError(
            'prune.until = "limits", and the target sets no limit on size or RAM',
            "--set limits.size_bytes=100kB, or --set prune.until=share",
        )

    def misses(model: nn.Module) -> list[Miss]:
        decoding = splits.task.answers.decoding
        found = forecast(model, splits.example, splits.classes, (judged_format(formats),), decoding=decoding)
        reached = {name: int(forecasts[name](found)) for name in allowed}
        return [Miss(name, allowed[name], reached[name]) for name in allowed if reached[name] > allowed[name]]

    return misses


def _set_aside(pruned: Pruned, plan: blueprint.Blueprint, out: Path) -> nn.Module:
    """Keep a finished step whole or not at all, and read it back: unbroken and resumed builds go on from it."""
    folder = out / "steps" / str(len(pruned.steps))
    if distributed.is_main():
        aside = folder.with_suffix(".part")
        shutil.rmtree(aside, ignore_errors=True)
        blueprint.save(pruned.model, plan, aside)
        (aside / "steps.json").write_text(json.dumps([asdict(step) for step in pruned.steps]), encoding="utf-8")
        aside.replace(folder)
        (out / "recovery.ckpt").unlink(missing_ok=True)
    distributed.barrier()
    return blueprint.load(folder)[0]


def _finished(out: Path) -> Pruned | None:
    """The last step that an earlier try had set aside."""
    numbers = sorted(int(folder.name) for folder in (out / "steps").glob("*") if folder.name.isdigit())
    if not numbers:
        return None
    folder = out / "steps" / str(numbers[-1])
    kept_steps = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
    steps = tuple(Step(**{**step, "notes": tuple(step["notes"])}) for step in kept_steps)
    return Pruned(blueprint.load(folder)[0], steps)
