"""The teacher stage: it trains a teacher on hard labels, or takes a checkpoint, a file or stored outputs, or several.

A single torch network lies in `model/`. Everything else lies in `parts/`, one folder for each teacher, with its outputs
on the validation and the test split; `teacher.json` lists them (distillation/teachers/load.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgekd.config import Augment, Compute, Config, Source, Training
from edgekd.data.batches import Batch
from edgekd.data.splits import Splits
from edgekd.distillation.teachers import several, specialists
from edgekd.distillation.teachers.load import Part, part_folder
from edgekd.nn import blueprint
from edgekd.nn.checkpoint import untrained
from edgekd.nn.outputs import answer, check_answer
from edgekd.report.units import amount
from edgekd.training import distributed
from edgekd.training.evaluate import count_parameters, scores
from edgekd.training.fit import FitResult, fit

VERSION = 4


@dataclass
class Network:
    """One torch teacher that was trained here or loaded."""

    model: nn.Module
    plan: blueprint.Blueprint
    result: FitResult
    notes: list[str] = field(default_factory=list)


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
    """Train `model` in place on the targets alone, by the task's loss for them."""

    def step(module: nn.Module, batch: Batch) -> Tensor:
        return splits.task.answers.label_loss(answer(module, batch.x).logits, batch.y)

    return fit(
        model, step, splits, settings, seed=seed, compute=compute, augment=augment, checkpoint=checkpoint, title=title
    )


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write `model/`, or `teacher.json` and `parts/`, to `out`."""
    splits = Splits.load(folders["data"])
    if config.teacher.single:
        network = _network(config, config.teacher, splits, config.seed, out / "training.ckpt")
        metrics = distributed.from_main(lambda: _finish(network, splits, out))
        metrics["notes"] += _low_score_notes(metrics["validation_score"], splits, config.teacher.checkpoint)
    else:
        metrics = _several(config, splits, folders["data"], out)
    for state in out.glob("*.ckpt"):
        state.unlink(missing_ok=True)
    return metrics


def _network(config: Config, source: Source, splits: Splits, seed: int, state: Path, title: str = "teacher") -> Network:
    """Load a torch teacher from its checkpoint, or train it with the settings of [teacher]."""
    model, plan, notes = untrained(source, splits, seed)
    network = Network(model, plan, FitResult(0, [], distributed.world(), 0, "cpu"), notes)
    if source.checkpoint is None:
        network.result = train(
            network.model, splits, config.teacher, seed=seed, compute=config.compute, augment=config.data.augment,
            checkpoint=state, title=title,
        )  # fmt: skip
        network.notes += network.result.notes
    return network


def _finish(network: Network, splits: Splits, out: Path) -> dict[str, Any]:
    blueprint.save(network.model, network.plan, out / "model")
    return {
        **scores(network.model, splits, device=network.result.device, title="teacher"),
        "parameters": count_parameters(network.model),
        "processes": network.result.processes,
        "resumed_from": network.result.resumed_from,
        "losses": network.result.losses,
        "trained": network.result.epochs > 0,
        "notes": network.notes,
    }


def _several(config: Config, splits: Splits, data: Path, out: Path) -> dict[str, Any]:
    """Train or load several teachers that are combined, and teachers from outside torch."""
    settings = config.teacher
    parts: list[Part] = []
    networks: list[Network] = []

    def add(network: Network, part: Part) -> None:
        if distributed.is_main():
            blueprint.save(network.model, network.plan, part_folder(out, len(parts)) / "model")
        parts.append(part)
        networks.append(network)

    for source in (settings, *settings.also):
        if source.foreign:
            number = len(parts)
            parts.append(
                distributed.from_main(lambda: several.save_external(source, splits, data, part_folder(out, number)))  # noqa: B023
            )
            continue
        for member in range(settings.members if source is settings else 1):
            number = len(parts)
            title = f"teacher: number {number + 1}"
            add(
                _network(config, source, splits, config.seed + member, out / f"training-{number}.ckpt", title),
                Part("network"),
            )
    notes: list[str] = []
    if settings.specialists:
        generalist = networks[0]
        groups = distributed.from_main(lambda: several.confusions(generalist.model, splits, settings, config.seed))
        clusters = ", ".join("{" + ", ".join(splits.classes[c] for c in group) + "}" for group in groups)
        notes.append(f"specialists for {clusters}" if groups else "no cluster of classes: the generalist answers alone")
        for group in groups:
            add(*_specialist(config, generalist, splits, group, out / f"training-{len(parts)}.ckpt"))
    device = next((network.result.device for network in networks), "cpu")
    metrics = distributed.from_main(lambda: several.evaluate_parts(out, parts, splits, device))
    score_notes = (
        [] if metrics["validation_score"] is None else _low_score_notes(metrics["validation_score"], splits, None)
    )
    return {
        **metrics,
        "parameters": sum(count_parameters(n.model) for n in networks) if len(networks) == len(parts) else None,
        "processes": distributed.world(),
        "resumed_from": sum(network.result.resumed_from for network in networks),
        "losses": [network.result.losses for network in networks],
        "trained": any(network.result.epochs > 0 for network in networks),
        "notes": [
            *dict.fromkeys(n for network in networks for n in network.notes),
            *notes,
            *metrics["notes"],
            *score_notes,
        ],
    }


def _specialist(
    config: Config, generalist: Network, splits: Splits, group: list[int], state: Path
) -> tuple[Network, Part]:
    """Train a network of the generalist's kind on the classes of a cluster, and one class for all others."""
    distillation, correction = specialists.specialist_splits(splits, group, config.seed)
    options = {**generalist.plan.options, "classes": len(distillation.classes)}
    plan = blueprint.Blueprint(generalist.plan.factory, options)
    model = blueprint.build(plan, seed=config.seed)
    specialists.start_from(model, generalist.model)
    check_answer(model, distillation, f"specialist {generalist.plan.factory!r}")
    result = train(
        model, distillation, config.teacher, seed=config.seed, compute=config.compute, augment=config.data.augment,
        checkpoint=state, title="teacher: specialist",
    )  # fmt: skip
    return Network(model, plan, result, list(result.notes)), Part(
        "specialist", classes=tuple(group), correction=correction
    )


def _low_score_notes(validation_score: float, splits: Splits, checkpoint: Path | None) -> list[str]:
    words, scoring = splits.task.words, splits.task.scoring
    chance = scoring.chance(splits.classes, splits.validation.y)
    larger, smaller = (validation_score, chance) if words.higher_is_better else (chance, validation_score)
    if larger >= scoring.barely_better * smaller:
        return []
    score, chance_score = (amount(value, words.unit) for value in (validation_score, chance))
    finding = f"the teacher's validation {words.score} is {score}, where chance gives {chance_score}"
    if checkpoint is not None:
        return [f"{finding}: do {checkpoint.name} and data.mean, data.std belong together?"]
    return [f"{finding}: it may want more teacher.epochs, or another teacher.learning_rate"]
