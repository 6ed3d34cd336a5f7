"""The distill stage: it trains a student with the teacher, and a baseline without it, to show the teacher's effect.

With several seeds both are trained at each of them. The student of the config's own seed is shipped, whatever the
others score: to ship the best on the test set would be model selection on test data.
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
        scores: the result of `evaluate.scores`.
        answers: its outputs on the test set, (N, *answer shape).
    """

    student: nn.Module
    result: FitResult
    scores: dict[str, float]
    answers: np.ndarray


def precheck(config: Config, data: Path) -> None:
    """Raise an error if teacher, losses and scheme can't be combined, before even the teacher is trained."""
    rehearse(config, Splits.load(data), load_positions(data))


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write the distilled student to `out`/model."""
    splits = Splits.load(folders["data"])
    settings, trains = config.distill, config.distill.epochs > 0
    setup = prepare(config, folders, splits)
    seeds = range(config.seed, config.seed + (settings.seeds if trains else 1))
    distilled: list[TrainedStudent] = []
    baselines: list[TrainedStudent] = []
    for seed in seeds:
        distillation = setup.at_seed(seed, out)
        result = train_student(distillation, config) if trains else FitResult(0, [], distributed.world(), 0, "cpu")
        distilled.append(_evaluate(distillation, result))
        if settings.baseline and trains:
            baseline_run = _baseline_run(distillation, setup.fresh(seed), _baseline_epochs(settings, result))
            baselines.append(_evaluate(baseline_run, learn(baseline_run)))
    shipped = distilled[0]
    distributed.from_main(lambda: blueprint.save(shipped.student, setup.plan, out / "model"))
    transfer = distributed.from_main(lambda: _transfer(setup, folders["teacher"], seeds, distilled, baselines))
    for file in out.glob("*.ckpt"):
        file.unlink(missing_ok=True)
    names, students = ("score", "validation_score"), (*distilled, *baselines)
    return {
        **shipped.scores,
        "parameters": count_parameters(shipped.student),
        "processes": shipped.result.processes,
        "losses": shipped.result.losses,
        **{f"baseline_{name}": baselines[0].scores[name] if baselines else None for name in shipped.scores},
        "seeds": list(seeds),
        **{f"each_{name}": [student.scores[name] for student in distilled] for name in names},
        **{f"each_baseline_{name}": [student.scores[name] for student in baselines] for name in names},
        "transfer": transfer,
        "scheme": settings.scheme.name,
        "layers": {"student": setup.loss.student_layers, "teacher": setup.loss.teacher_layers},
        "resumed_from": sum(student.result.resumed_from for student in students),
        "skipped": not trains,
        "notes": list(dict.fromkeys([*setup.notes, *(n for student in students for n in student.result.notes)])),
    }


def _distillation_epochs(settings: Distill, result: FitResult) -> int:
    """Return how many epochs the student was trained with its teacher; a scheme may change the configured number."""
    return result.passes or settings.epochs


def _baseline_epochs(settings: Distill, result: FitResult) -> int:
    return settings.baseline_epochs or _distillation_epochs(settings, result)


def _baseline_run(run: DistillationRun, student: nn.Module, epochs: int) -> DistillationRun:
    """Return the same training of the same student, but on the labels alone."""
    assert run.checkpoint is not None
    is_config_seed = run.checkpoint.name == "training.ckpt"
    name = "baseline.ckpt" if is_config_seed else f"{run.checkpoint.stem}-baseline.ckpt"
    return replace(
        without_teacher(run), student=student, checkpoint=run.checkpoint.with_name(name),
        settings=run.settings.model_copy(update={"epochs": epochs}),
        title="distill: the same student without the teacher" + ("" if is_config_seed else f", seed {run.seed}"),
    )  # fmt: skip


def _evaluate(run: DistillationRun, result: FitResult) -> TrainedStudent:
    evaluate = partial(scores_and_answers, run.student, run.splits, device=result.device, title=run.title)
    return TrainedStudent(run.student, result, *distributed.from_main(evaluate))


def _transfer(
    setup: DistillationSetup,
    teacher: Path,
    seeds: Sequence[int],
    distilled: Sequence[TrainedStudent],
    baselines: Sequence[TrainedStudent],
) -> Any:
    """Return the report's section on knowledge transfer in JSON's types."""
    splits, settings, shipped_result = setup.splits, setup.config.distill, distilled[0].result
    answers = answers_on(teacher, splits, "test", settings.combine)
    groups = [
        TrainedStudents([trained.student for trained in group], [trained.answers for trained in group])
        for group in (distilled, baselines)
    ]
    facts = {
        "along_the_way": shipped_result.along_the_way,
        "scheme": settings.scheme.name,
        "losses": tuple(loss.name for loss in settings.losses if loss.weight),
        "epochs": _distillation_epochs(settings, shipped_result),
        "baseline_epochs": _baseline_epochs(settings, shipped_result) if baselines else None,
        "seeds": tuple(seeds),
    }
    transfer = analyse(splits, groups[0], groups[1], answers, facts)
    layer_pairs: tuple[Pair, ...] = tuple(
        dict.fromkeys(pair for term in setup.loss.terms for pair in getattr(term, "pairs", ()))
    )
    layers, reason = similarities(splits, groups[0], groups[1], setup.network, layer_pairs)
    return transfer.model_copy(update={"layers": layers, "layers_unknown": reason}).model_dump(mode="json")
