"""Distilling: a student learns from the teacher, and once more without it, to show what the teacher was worth.

With several seeds both are trained at each of them. The student of the config's own seed is shipped, whatever the
others reach: to ship the best on the test set would be to choose by it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd import catalog
from edgekd.config import Config, Loss
from edgekd.errors import ConfigError, ModelError, TrainingError
from edgekd.losses.total import TotalLoss, total_loss
from edgekd.nn import blueprint, processes
from edgekd.nn.batches import batches
from edgekd.nn.evaluate import accuracies, accuracy, check_answer, count_parameters, logits
from edgekd.nn.fit import FitResult
from edgekd.nn.foreign import load_checkpoint
from edgekd.nn.layers import Pair
from edgekd.nn.lesson import Lesson, Teacher, learn
from edgekd.nn.passed_on import Pupils, passed_on, similarities
from edgekd.nn.splits import Splits
from edgekd.teachers.frozen import open_network, open_teacher

VERSION = 3
MOST_LAYERS = 5  # pairs that tuning tries alone: the last ones


@dataclass(frozen=True)
class Course:
    """What every training of a student has in common.

    Attributes:
        plan: to build the student by.
        fresh: seed -> an untrained student.
        teacher: opened once, for all seeds.
        loss: of the config's own seed, its layers chosen.
    """

    config: Config
    splits: Splits
    plan: blueprint.Blueprint
    fresh: Callable[[int], nn.Module]
    teacher_folder: Path
    teacher: Teacher
    loss: TotalLoss
    notes: list[str]

    def lesson(self, seed: int, out: Path) -> Lesson:
        """The training at one seed; each has its own checkpoint."""
        config, own = self.config, seed == self.config.seed
        student = self.fresh(seed)
        loss = self.loss if own else _connected(config, seed, student, self.teacher_folder, self.splits)
        return Lesson(
            student, self.fresh, self.teacher, loss, loss.student_layers, self.splits, config.distill, seed,
            config.compute, config.data.augment, out / ("training.ckpt" if own else f"seed{seed}.ckpt"),
            "distill" if own else f"distill: seed {seed}",
        )  # fmt: skip


@dataclass(frozen=True)
class Taught:
    """A trained student.

    Attributes:
        figures: its accuracies.
        answers: on the test set, logits (N, classes).
    """

    student: nn.Module
    result: FitResult
    figures: dict[str, float]
    answers: np.ndarray


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leaves `model/`, the distilled student."""
    splits = Splits.load(read["data"])
    settings, trains = config.distill, config.distill.epochs > 0
    course = prepare(config, read["teacher"], splits)
    seeds = range(config.seed, config.seed + (settings.seeds if trains else 1))
    taught: list[Taught] = []
    alone: list[Taught] = []
    for seed in seeds:
        lesson = course.lesson(seed, out)
        result = teach(lesson, config) if trains else FitResult(0, [], processes.world(), 0, "cpu")
        taught.append(_judged(lesson, result))
        if settings.baseline and trains:
            without = _without_teacher(lesson, course.fresh(seed), settings.baseline_epochs or settings.epochs)
            alone.append(_judged(without, learn(without)))
    shipped = taught[0]
    processes.from_main(lambda: blueprint.save(shipped.student, course.plan, out / "model"))
    found = processes.from_main(lambda: _transfer(course, seeds, taught, alone))
    for file in out.glob("*.ckpt"):
        file.unlink(missing_ok=True)
    names = ("accuracy", "validation_accuracy")
    return {
        **shipped.figures,
        "parameters": count_parameters(shipped.student),
        "processes": shipped.result.processes,
        "losses": shipped.result.losses,
        **{f"baseline_{name}": alone[0].figures[name] if alone else None for name in names},
        "seeds": list(seeds),
        **{f"each_{name}": [each.figures[name] for each in taught] for name in names},
        **{f"each_baseline_{name}": [each.figures[name] for each in alone] for name in names},
        "transfer": found,
        "scheme": settings.scheme.name,
        "layers": {"student": course.loss.student_layers, "teacher": course.loss.teacher_layers},
        "resumed_from": sum(each.result.resumed_from for each in (*taught, *alone)),
        "skipped": not trains,
        "notes": list(dict.fromkeys([*course.notes, *(n for each in (*taught, *alone) for n in each.result.notes)])),
    }


def prepare(config: Config, teacher_folder: Path, splits: Splits) -> Course:
    """Everything before the first training; what is wrong with student, teacher or losses is refused here."""
    options = blueprint.fill_options(config.student.model, config.student.entry_options(), splits)
    plan = blueprint.Blueprint(config.student.model, options)
    notes: list[str] = []

    def fresh(seed: int) -> nn.Module:
        student = blueprint.build(plan, seed=seed)
        if config.student.checkpoint is not None:
            notes.extend(note for note in load_checkpoint(student, config.student.checkpoint) if note not in notes)
        return student

    student = fresh(config.seed)
    check_answer(student, splits, f"student {config.student.model!r}")
    loss = _connected(config, config.seed, student, teacher_folder, splits)
    teacher = open_teacher(teacher_folder, splits, config.distill.precision, loss.teacher_layers)
    _check_classes(teacher, splits)
    return Course(config, splits, plan, fresh, teacher_folder, teacher, loss, notes)


def validated(config: Config, read: Mapping[str, Path], watch: Callable[[float, int], None]) -> float:
    """Train the student once under the teacher: its accuracy on validation data, in percent. No test data is opened.

    Args:
        watch: (validation accuracy, epochs done) is called between epochs, as far as the scheme trains by `learn`.
    """
    splits = Splits.load(read["data"], test=False)
    lesson = prepare(config, read["teacher"], splits).lesson(config.seed, Path())
    title = "distill: validation set"

    def look(student: nn.Module, epochs: int) -> None:
        if student is lesson.student:  # and none that a scheme trains beside it
            device = next(student.parameters()).device
            watch(accuracy(logits(student, splits.validation, splits, device=device, title=title), y), epochs)

    y = splits.validation.y
    result = teach(replace(lesson, checkpoint=None, watch=look), config)
    answers = logits(lesson.student, splits.validation, splits, device=result.device, title=title)
    if not np.isfinite(answers).all():
        raise TrainingError("distill: what was trained gives logits that are not finite", "a lower learning rate")
    return accuracy(answers, y)


def layer_choices(config: Config, read: Mapping[str, Path]) -> dict[int, list[list[str]]]:
    """Place in `distill.losses` -> what to try as its `layers`: all that it chooses itself, and each pair alone.

    Losses whose layers are named in the config, and those that take no other choice, are left as they are.
    """
    splits = Splits.load(read["data"], test=False)
    course = prepare(config, read["teacher"], splits)
    losses = config.distill.losses
    places = [place for place, found in enumerate(losses) if found.weight]
    choices = {}
    for place, term in zip(places, course.loss.terms, strict=True):
        pairs = [f"{pair.student.name}:{pair.teacher.name}" for pair in getattr(term, "pairs", ())]
        if len(pairs) < 2 or "layers" in losses[place].entry_options():
            continue
        tried = [pairs, *([pair] for pair in pairs[-MOST_LAYERS:])]
        taken = [layers for layers in tried if _takes(losses[place], layers, course)]
        if len(taken) > 1:
            choices[place] = taken
    return choices


def _takes(loss: Loss, layers: list[str], course: Course) -> bool:
    """Whether a loss can work with these layers: some need two or more, and some name them in another way."""
    try:
        one = total_loss([loss.model_copy(update={"options": {**loss.entry_options(), "layers": layers}})])
        one.connect(course.fresh(course.config.seed), open_network(course.teacher_folder), course.splits)
    except ConfigError:
        return False
    return True


def teach(lesson: Lesson, config: Config) -> FitResult:
    """Train the lesson's student by the scheme of the config."""
    scheme = catalog.load("scheme", config.distill.scheme.name)
    result: FitResult = scheme(lesson, **config.distill.scheme.entry_options())
    return result


def _without_teacher(lesson: Lesson, student: nn.Module, epochs: int) -> Lesson:
    """The same training, of the same student, on the labels alone."""
    assert lesson.checkpoint is not None
    own = lesson.checkpoint.name == "training.ckpt"
    name = "baseline.ckpt" if own else f"{lesson.checkpoint.stem}-baseline.ckpt"
    return replace(
        lesson, student=student, teacher=None, loss=None, layers=(), checkpoint=lesson.checkpoint.with_name(name),
        settings=lesson.settings.model_copy(update={"epochs": epochs}),
        title="distill: the same student without the teacher" + ("" if own else f", seed {lesson.seed}"),
    )  # fmt: skip


def _judged(lesson: Lesson, result: FitResult) -> Taught:
    def judge() -> tuple[dict[str, float], np.ndarray]:
        ask = partial(logits, lesson.student, lesson.splits.test, lesson.splits, device=result.device)
        return accuracies(lesson.student, lesson.splits, device=result.device, title=lesson.title), ask(
            title=f"{lesson.title}: answers"
        )

    return Taught(lesson.student, result, *processes.from_main(judge))


def _transfer(course: Course, seeds: Sequence[int], taught: Sequence[Taught], alone: Sequence[Taught]) -> Any:
    """The report's section on what was passed on, in JSON's types."""
    splits, settings = course.splits, course.config.distill
    answers, network = _teacher_on_test(course.teacher_folder, splits, taught[0].result.device)
    groups = [Pupils([each.student for each in group], [each.answers for each in group]) for group in (taught, alone)]
    facts = {
        "scheme": settings.scheme.name,
        "losses": tuple(loss.name for loss in settings.losses if loss.weight),
        "epochs": settings.epochs,
        "baseline_epochs": (settings.baseline_epochs or settings.epochs) if alone else None,
        "seeds": tuple(seeds),
    }
    found = passed_on(splits, groups[0], groups[1], answers, facts)
    chosen: tuple[Pair, ...] = tuple(
        dict.fromkeys(pair for term in course.loss.terms for pair in getattr(term, "pairs", ()))
    )
    layers, why = similarities(splits, groups[0], groups[1], network, chosen)
    return found.model_copy(update={"layers": layers, "layers_unknown": why}).model_dump(mode="json")


def _teacher_on_test(folder: Path, splits: Splits, device: str) -> tuple[np.ndarray | None, nn.Module | None]:
    """(the teacher's logits on the test set, its network); None for what a teacher of another kind does not have."""
    network = open_network(folder)
    return logits(network, splits.test, splits, device=device, title="distill: the teacher's answers"), network


def _connected(config: Config, seed: int, student: nn.Module, teacher: Path, splits: Splits) -> TotalLoss:
    """The loss with its layers chosen; what its adapters start from depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loss = total_loss(config.distill.losses)
        if loss.looking_inside:
            loss.connect(student, open_network(teacher), splits)
    return loss


def _check_classes(teacher: Teacher, splits: Splits) -> None:
    """Before any training: the teacher answers for as many classes as the data has."""
    batch = next(batches(splits.train, splits, 2))
    with torch.no_grad():
        shape = tuple(teacher(batch).logits.shape)
    wanted = (len(batch.y), len(splits.classes))
    if shape != wanted:
        raise ModelError(
            f"the teacher gives logits of shape {shape}, the student of shape {wanted}",
            f"a teacher for the data's {wanted[1]} classes",
        )
