"""Distilling: a student learns from the teacher, and once more without it, to show what the teacher was worth.

With several seeds both are trained at each of them. The student of the config's own seed is shipped, whatever the
others reach: to ship the best on the test set would be to choose by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from edgekd.config import Config, Distill
from edgekd.data.splits import Splits, load_positions
from edgekd.distillation.analysis import TrainedStudents, analyse, similarities
from edgekd.distillation.run import DistillationRun, learn, without_teacher
from edgekd.distillation.setup import DistillationSetup, prepare, rehearse, train_student
from edgekd.distillation.teachers.load import answers_on
from edgekd.nn import blueprint
from edgekd.nn.layers import Pair
from edgekd.training import distributed
from edgekd.training.evaluate import count_parameters, scores_and_answers
from edgekd.training.fit import FitResult

VERSION = 7


@dataclass(frozen=True)
class TrainedStudent:
    """A trained student.

    Attributes:
        scores: what `evaluate.scores` says of it.
        answers: on the test set, (N, *answer shape).
    """

    student: nn.Module
    result: FitResult
    scores: dict[str, float]
    answers: np.ndarray


def precheck(config: Config, data: Path) -> None:
    """Refuse teachers, losses and schemes that can't be had together, before even the teacher is trained."""
    rehearse(config, Splits.load(data), load_positions(data))


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves `model/`, the distilled student."""
    splits = Splits.load(read["data"])
    settings, trains = config.distill, config.distill.epochs > 0
    setup = prepare(config, read, splits)
    seeds = range(config.seed, config.seed + (settings.seeds if trains else 1))
    taught: list[TrainedStudent] = []
    alone: list[TrainedStudent] = []
    for seed in seeds:
        distillation = setup.at_seed(seed, out)
        result = train_student(distillation, config) if trains else FitResult(0, [], distributed.world(), 0, "cpu")
        taught.append(_judged(distillation, result))
        if settings.baseline and trains:
            without = _without_teacher(distillation, setup.fresh(seed), _epochs_alone(settings, result))
            alone.append(_judged(without, learn(without)))
    shipped = taught[0]
    distributed.from_main(lambda: blueprint.save(shipped.student, setup.plan, out / "model"))
    found = distributed.from_main(lambda: _transfer(setup, read["teacher"], seeds, taught, alone))
    for file in out.glob("*.ckpt"):
        file.unlink(missing_ok=True)
    names = ("score", "validation_score")
    return {
        **shipped.scores,
        "parameters": count_parameters(shipped.student),
        "processes": shipped.result.processes,
        "losses": shipped.result.losses,
        **{f"baseline_{name}": alone[0].scores[name] if alone else None for name in shipped.scores},
        "seeds": list(seeds),
        **{f"each_{name}": [each.scores[name] for each in taught] for name in names},
        **{f"each_baseline_{name}": [each.scores[name] for each in alone] for name in names},
        "transfer": found,
        "scheme": settings.scheme.name,
        "layers": {"student": setup.loss.student_layers, "teacher": setup.loss.teacher_layers},
        "resumed_from": sum(each.result.resumed_from for each in (*taught, *alone)),
        "skipped": not trains,
        "notes": list(dict.fromkeys([*setup.notes, *(n for each in (*taught, *alone) for n in each.result.notes)])),
    }


def _epochs(settings: Distill, result: FitResult) -> int:
    """Of the student under its teacher: what the scheme made of them."""
    return result.passes or settings.epochs


def _epochs_alone(settings: Distill, result: FitResult) -> int:
    return settings.baseline_epochs or _epochs(settings, result)


def _without_teacher(run: DistillationRun, student: nn.Module, epochs: int) -> DistillationRun:
    """The same training, of the same student, on the labels alone."""
    assert run.checkpoint is not None
    own = run.checkpoint.name == "training.ckpt"
    name = "baseline.ckpt" if own else f"{run.checkpoint.stem}-baseline.ckpt"
    return replace(
        without_teacher(run), student=student, checkpoint=run.checkpoint.with_name(name),
        settings=run.settings.model_copy(update={"epochs": epochs}),
        title="distill: the same student without the teacher" + ("" if own else f", seed {run.seed}"),
    )  # fmt: skip


def _judged(run: DistillationRun, result: FitResult) -> TrainedStudent:
    judge = partial(scores_and_answers, run.student, run.splits, device=result.device, title=run.title)
    return TrainedStudent(run.student, result, *distributed.from_main(judge))


def _transfer(
    setup: DistillationSetup,
    teacher: Path,
    seeds: Sequence[int],
    taught: Sequence[TrainedStudent],
    alone: Sequence[TrainedStudent],
) -> Any:
    """The report's section on what was passed on, in JSON's types."""
    splits, settings, shown = setup.splits, setup.config.distill, taught[0].result
    answers = answers_on(teacher, splits, "test", settings.combine)
    groups = [
        TrainedStudents([each.student for each in group], [each.answers for each in group]) for group in (taught, alone)
    ]
    facts = {
        "along_the_way": shown.along_the_way,
        "scheme": settings.scheme.name,
        "losses": tuple(loss.name for loss in settings.losses if loss.weight),
        "epochs": _epochs(settings, shown),
        "baseline_epochs": _epochs_alone(settings, shown) if alone else None,
        "seeds": tuple(seeds),
    }
    found = analyse(splits, groups[0], groups[1], answers, facts)
    chosen: tuple[Pair, ...] = tuple(
        dict.fromkeys(pair for term in setup.loss.terms for pair in getattr(term, "pairs", ()))
    )
    layers, why = similarities(splits, groups[0], groups[1], setup.network, chosen)
    return found.model_copy(update={"layers": layers, "layers_unknown": why}).model_dump(mode="json")
