"""Teacher assistants: networks of a size in between pass a large teacher's knowledge on to a small student
(Mirzadeh et al., 2020, arXiv:1902.03393)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from torch import nn

from edgekd.catalog import signatures
from edgekd.config import Training
from edgekd.distillation.run import DistillationRun, in_sequence, learn, with_student, with_teacher
from edgekd.errors import ConfigError
from edgekd.nn import blueprint
from edgekd.nn.outputs import check_answer
from edgekd.results import AlongTheWay
from edgekd.tasks.task import Score
from edgekd.training import distributed
from edgekd.training.evaluate import scores
from edgekd.training.fit import FitResult

Wanted = str | Mapping[str, Any]


def assistant(run: DistillationRun, assistant: Wanted | Sequence[Wanted] = "resnet20") -> FitResult:
    """The teacher teaches the first assistant, that one the next, and the last the student; all by `distill.losses`.

    Section 3 of the paper; its best path leads through networks of every size in between. Losses that look inside
    find their layers anew for each pair, so layers that the config names must be there in all of them. The assistants'
    scores stand in the report.

    Args:
        assistant: a model of the catalog or "package.module:factory"; or {model = "...", epochs = ...} with options of
            the model beside it, trained for as many epochs as the student unless it says so; or a list of them, the
            largest first.
    """
    wanted = [_spelled_out(one) for one in ([assistant] if isinstance(assistant, str | Mapping) else assistant)]
    if not wanted:
        raise ConfigError("scheme 'assistant' has no assistant", '{name = "assistant", assistant = "resnet20"}')
    row = [*(_built(run, one, number) for number, one in enumerate(wanted)), run.student]
    if run.connect is not None:
        for teacher, student in pairwise(row):
            run.connect(student, teacher)  # what can't be compared is refused before anything trains
    results: list[FitResult] = []
    found: list[AlongTheWay] = []
    task = run.splits.task
    for number, one in enumerate(wanted):
        own = replace(
            run,
            student=row[number],
            settings=_settings(run.settings, one),
            seed=run.seed + number + 1,
            checkpoint=run.checkpoint_named(f"assistant{number + 1}"),
            title=f"{run.title}: assistant {number + 1} of {len(wanted)}, {one['model']}",
        )
        results.append(learn(with_teacher(own, row[number - 1]) if number else with_student(own, row[0], "assistant")))
        judge = partial(scores, row[number], run.splits, device=results[-1].device, title=own.title)
        reached = distributed.from_main(judge)
        score = task.quantity(Score(reached["score"], reached["score_error"]), f"{len(run.splits.test):,} test samples")
        found.append(AlongTheWay(what=f"assistant {number + 1} of {len(wanted)}, {one['model']}", score=score))
    results.append(learn(with_teacher(run, row[-2])))
    return replace(in_sequence(results), along_the_way=tuple(found))


def _spelled_out(wanted: Wanted) -> dict[str, Any]:
    one = {"model": wanted} if isinstance(wanted, str) else dict(wanted)
    if "model" not in one:
        raise ConfigError(f"scheme 'assistant': {one} names no model", 'assistant = {model = "resnet20"}')
    epochs = one.get("epochs", 1)
    if not isinstance(epochs, int) or epochs < 1:
        raise ConfigError(
            f"scheme 'assistant': epochs = {epochs!r} must be 1 or more", "leave it out for the student's"
        )
    return one


def _built(run: DistillationRun, one: Mapping[str, Any], number: int) -> nn.Module:
    name = one["model"]
    asked = {option: value for option, value in one.items() if option not in ("model", "epochs")}
    signatures.check_options("model", name, asked, "distill.scheme.assistant", ("model", "epochs"))
    options = blueprint.fill_options(name, asked, run.splits)
    model = blueprint.build(blueprint.Blueprint(name, options), seed=run.seed + number + 1)
    check_answer(model, run.splits, f"assistant {name!r}")
    return model


def _settings(settings: Training, one: Mapping[str, Any]) -> Training:
    return settings.model_copy(update={"epochs": one.get("epochs", settings.epochs)})
