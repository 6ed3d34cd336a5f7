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

Assistant = str | Mapping[str, Any]


def assistant(run: DistillationRun, assistant: Assistant | Sequence[Assistant] = "resnet20") -> FitResult:
    """The teacher teaches the first assistant, that one the next, and the last the student; all by `distill.losses`.

    Section 3 of the paper; its best path leads through networks of every size in between. Losses that look inside
    find their layers anew for each pair, so layers that the config names must be there in all of them. The assistants'
    scores stand in the report.

    Args:
        assistant: a model of the catalog or "package.module:factory"; or {model = "...", epochs = ...} with options of
            the model beside it, trained for as many epochs as the student unless it says so; or a list of them, the
            largest first.
    """
    entries = [
        _check_assistant(entry) for entry in ([assistant] if isinstance(assistant, str | Mapping) else assistant)
    ]
    if not entries:
        raise ConfigError("scheme 'assistant' has no assistant", '{name = "assistant", assistant = "resnet20"}')
    networks = [*(_build(run, entry, number) for number, entry in enumerate(entries)), run.student]
    if run.connect is not None:
        for teacher, student in pairwise(networks):
            run.connect(student, teacher)  # what can't be compared is refused before anything trains
    results: list[FitResult] = []
    rows: list[AlongTheWay] = []
    task = run.splits.task
    for number, entry in enumerate(entries):
        own_run = replace(
            run,
            student=networks[number],
            settings=_settings(run.settings, entry),
            seed=run.seed + number + 1,
            checkpoint=run.checkpoint_for(f"assistant{number + 1}"),
            title=f"{run.title}: assistant {number + 1} of {len(entries)}, {entry['model']}",
        )
        results.append(
            learn(
                with_teacher(own_run, networks[number - 1])
                if number
                else with_student(own_run, networks[0], "assistant")
            )
        )
        evaluate = partial(scores, networks[number], run.splits, device=results[-1].device, title=own_run.title)
        figures = distributed.from_main(evaluate)
        score = task.quantity(Score(figures["score"], figures["score_error"]), f"{len(run.splits.test):,} test samples")
        rows.append(AlongTheWay(what=f"assistant {number + 1} of {len(entries)}, {entry['model']}", score=score))
    results.append(learn(with_teacher(run, networks[-2])))
    return replace(in_sequence(results), along_the_way=tuple(rows))


def _check_assistant(assistant: Assistant) -> dict[str, Any]:
    entry = {"model": assistant} if isinstance(assistant, str) else dict(assistant)
    if "model" not in entry:
        raise ConfigError(f"scheme 'assistant': {entry} names no model", 'assistant = {model = "resnet20"}')
    epochs = entry.get("epochs", 1)
    if not isinstance(epochs, int) or epochs < 1:
        raise ConfigError(
            f"scheme 'assistant': epochs = {epochs!r} must be 1 or more", "leave it out for the student's"
        )
    return entry


def _build(run: DistillationRun, entry: Mapping[str, Any], number: int) -> nn.Module:
    name = entry["model"]
    own_options = {option: value for option, value in entry.items() if option not in ("model", "epochs")}
    signatures.check_options("model", name, own_options, "distill.scheme.assistant", ("model", "epochs"))
    options = blueprint.fill_options(name, own_options, run.splits)
    model = blueprint.build(blueprint.Blueprint(name, options), seed=run.seed + number + 1)
    check_answer(model, run.splits, f"assistant {name!r}")
    return model


def _settings(settings: Training, entry: Mapping[str, Any]) -> Training:
    return settings.model_copy(update={"epochs": entry.get("epochs", settings.epochs)})
