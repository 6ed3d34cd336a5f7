"""Born-again networks: a student teaches the next one of its own kind, for several generations
(Furlanello et al., 2018, arXiv:1805.04770)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import nn

from edgekd.distillation.ensemble import as_one, combine_of
from edgekd.distillation.run import DistillationRun, frozen, in_sequence, learn, with_teacher, without_teacher
from edgekd.errors import ConfigError
from edgekd.training.fit import FitResult


def born_again(
    run: DistillationRun,
    generations: int = 2,
    first: Literal["teacher", "labels"] = "teacher",
    ensemble: bool = False,
) -> FitResult:
    """Generation 1 learns from the teacher or the labels, generation k from generation k - 1 by the same losses.

    The paper's sequence of teaching selves, which begins with a network trained on labels: `first = "labels"`. Each
    starts from weights of its own and trains for all epochs, so K generations cost K trainings; the last is kept.

    Args:
        generations: K, the number of generations.
        first: what the first generation learns from.
        ensemble: generation k learns from the mean of the probabilities of all that were before it, where the paper
            averages its generations when they are used. Losses that compare layers look at the one before it.
    """
    if generations < 1 or first not in ("teacher", "labels"):
        raise ConfigError(
            f"scheme 'born_again': generations = {generations} must be 1 or more, and first = {first!r} "
            "either 'teacher' or 'labels'",
            'distill.scheme = {name = "born_again", generations = 2}',
        )
    if ensemble:
        combine_of(run.splits.task, "scheme 'born_again' with ensemble = true")
    line = [*(run.fresh(run.seed + number) for number in range(1, generations)), run.student]
    if run.connect is not None and len(line) > 1:
        run.connect(line[1], line[0])  # what can't be compared is refused before anything trains
    results = []
    for number, student in enumerate(line):
        is_last = student is run.student
        own = replace(
            run,
            student=student,
            seed=run.seed + (0 if is_last else number + 1),
            checkpoint=run.checkpoint if is_last else run.checkpoint_named(f"generation{number + 1}"),
            title=f"{run.title}: generation {number + 1} of {generations}",
        )
        results.append(learn(_next_generation(own, line[:number], first, ensemble)))
    return in_sequence(results)


def _next_generation(run: DistillationRun, before: Sequence[nn.Module], first: str, ensemble: bool) -> DistillationRun:
    if not before:
        return without_teacher(run) if first == "labels" else run
    taught = with_teacher(run, before[-1])
    if not ensemble or len(before) == 1 or taught.teacher is None:
        return taught
    elders = [frozen(model, run.settings.precision) for model in before[:-1]]
    return replace(taught, teacher=as_one([*elders, taught.teacher], run.splits.task, "mean"))
