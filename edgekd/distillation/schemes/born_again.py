"""Born-again networks: a student is the teacher of the next one of its own kind, for several generations
(Furlanello et al., 2018, arXiv:1805.04770)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import nn

from edgekd.distillation.ensemble import combine_function, combine_teachers
from edgekd.distillation.run import DistillationRun, in_sequence, learn, network_teacher, with_teacher, without_teacher
from edgekd.errors import ConfigError
from edgekd.training.fit import FitResult


def born_again(
    run: DistillationRun,
    generations: int = 2,
    first: Literal["teacher", "labels"] = "teacher",
    ensemble: bool = False,
) -> FitResult:
    """Generation 1 learns from the teacher or the labels, generation k from generation k - 1 by the same losses.

    The paper's "sequence of teaching selves" begins with a network trained on labels: `first = "labels"`. Each starts
    from weights of its own and trains for all epochs, so K generations cost K trainings; the last is the student.

    Args:
        generations: K, the number of generations.
        first: what the first generation learns from.
        ensemble: generation k learns from the mean probabilities of all earlier generations, where the paper
            averages its generations when they are used. Losses that compare layers use the generation before it.
    """
    if generations < 1 or first not in ("teacher", "labels"):
        raise ConfigError(
            f"scheme 'born_again': generations = {generations} must be 1 or more, and first = {first!r} "
            "either 'teacher' or 'labels'",
            'distill.scheme = {name = "born_again", generations = 2}',
        )
    if ensemble:
        combine_function(run.splits.task, "scheme 'born_again' with ensemble = true")
    networks = [*(run.fresh(run.seed + number) for number in range(1, generations)), run.student]
    if run.connect is not None and len(networks) > 1:
        run.connect(networks[1], networks[0])  # what can't be compared is refused before anything trains
    results = []
    for number, student in enumerate(networks):
        is_last = student is run.student
        own_run = replace(
            run,
            student=student,
            seed=run.seed + (0 if is_last else number + 1),
            checkpoint=run.checkpoint if is_last else run.checkpoint_for(f"generation{number + 1}"),
            title=f"{run.title}: generation {number + 1} of {generations}",
        )
        results.append(learn(_next_generation(own_run, networks[:number], first, ensemble)))
    return in_sequence(results)


def _next_generation(run: DistillationRun, earlier: Sequence[nn.Module], first: str, ensemble: bool) -> DistillationRun:
    if not earlier:
        return without_teacher(run) if first == "labels" else run
    next_run = with_teacher(run, earlier[-1])
    if not ensemble or len(earlier) == 1 or next_run.teacher is None:
        return next_run
    earlier_teachers = [network_teacher(model, run.settings.precision) for model in earlier[:-1]]
    return replace(next_run, teacher=combine_teachers([*earlier_teachers, next_run.teacher], run.splits.task, "mean"))
