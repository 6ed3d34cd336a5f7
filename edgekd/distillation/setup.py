"""A distillation made ready from config and finished work, before it is trained: for the stage, and for tuning."""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd import catalog
from edgekd.catalog.options import convert_options
from edgekd.config import Config, Loss, Source
from edgekd.data.batches import Batch, Views, batches
from edgekd.data.splits import Positions, Splits
from edgekd.distillation.losses.total import TotalLoss, total_loss
from edgekd.distillation.run import DistillationRun, Teacher
from edgekd.distillation.teachers import external, precomputed, several
from edgekd.distillation.teachers.answers import check_shape, views_of
from edgekd.distillation.teachers.load import open_network, open_teacher
from edgekd.errors import ConfigError, TrainingError
from edgekd.nn import blueprint
from edgekd.nn.checkpoint import untrained
from edgekd.nn.outputs import Outputs
from edgekd.training.evaluate import answers_of
from edgekd.training.fit import FitResult

MOST_LAYERS = 5  # pairs that tuning tries alone: the last ones


@dataclass(frozen=True)
class DistillationSetup:
    """What every training of a student has in common.

    Attributes:
        plan: to build the student by.
        fresh: seed -> an untrained student.
        teacher: opened once, for all seeds.
        network: the teacher's, where it is one torch module.
        views: the augmentation views that its answers are stored for.
        loss: of the config's own seed, its layers chosen.
    """

    config: Config
    splits: Splits
    plan: blueprint.Blueprint
    fresh: Callable[[int], nn.Module]
    teacher: Teacher
    network: nn.Module | None
    views: Views | None
    loss: TotalLoss
    notes: list[str]

    def at_seed(self, seed: int, out: Path) -> DistillationRun:
        """The training at one seed; each has its own checkpoint."""
        config, own = self.config, seed == self.config.seed
        student = self.fresh(seed)
        connect = partial(_connected, config, seed, self.splits)
        loss = self.loss if own else connect(student, self.network)
        return DistillationRun(
            student, self.fresh, self.teacher, loss, loss.student_layers, self.splits, config.distill, seed,
            config.compute, config.data.augment, self.views,
            checkpoint=out / ("training.ckpt" if own else f"seed{seed}.ckpt"),
            title="distill" if own else f"distill: seed {seed}",
            teacher_network=None if self.network is None else partial(copy.deepcopy, self.network),
            connect=connect,
        )  # fmt: skip


def prepare(config: Config, read: Mapping[str, Path], splits: Splits) -> DistillationSetup:
    """Everything before the first training; what is wrong with student, teacher or losses is refused here."""
    setup = _without_answers(config, splits, open_network(read["teacher"]))
    layers, settings = setup.loss.teacher_layers, config.distill
    answers = None if layers else read.get("answers")  # layers are not stored
    teacher = open_teacher(read["teacher"], splits, settings.precision, layers, answers, settings.combine)
    _check_shape(teacher, splits)
    return replace(setup, teacher=teacher, views=views_of(answers))


def rehearse(config: Config, splits: Splits, positions: Positions) -> None:
    """Go through all that comes before the trainings, with networks that nobody has trained.

    What a teacher, a loss or a scheme of the catalog would refuse, perhaps after another training of hours, is refused
    here in seconds, with the same error.

    Args:
        positions: of the splits' samples in the data set, as `load_positions` has them.
    """
    scheme_options(config)
    settings = config.teacher
    networks = [_teacher_network(source, config.seed, splits, positions) for source in (settings, *settings.also)]
    several.check_several(settings, splits.task)
    run = _without_answers(config, splits, networks[0] if settings.single else None).at_seed(config.seed, Path())
    if config.distill.epochs and config.distill.scheme.name in catalog.SCHEMES:
        with suppress(_FirstTraining):
            train_student(replace(run, train=_refuse_to_train), config)


def _teacher_network(source: Source, seed: int, splits: Splits, positions: Positions) -> nn.Module | None:
    """The untrained network of a teacher, where it is a torch network; others are asked a first time."""
    if source.answers is not None:
        precomputed.read_answers(source.answers, splits, positions)
    elif source.foreign:
        external.try_out(source, splits)
    else:
        return untrained(source, splits, seed)[0]
    return None


class _FirstTraining(Exception):
    """The first training would begin."""


def _refuse_to_train(*_: Any, **__: Any) -> FitResult:
    raise _FirstTraining


def _unopened_teacher(batch: Batch) -> Outputs:
    raise AssertionError("a teacher was asked before it was opened")


def _without_answers(config: Config, splits: Splits, network: nn.Module | None) -> DistillationSetup:
    """Student and losses for a teacher with this network, or with none; nobody answers yet."""
    student, plan, notes = untrained(config.student, splits, config.seed)

    def fresh(seed: int) -> nn.Module:
        return untrained(config.student, splits, seed)[0]

    loss = _connected(config, config.seed, splits, student, network)
    return DistillationSetup(config, splits, plan, fresh, _unopened_teacher, network, None, loss, notes)


def train_student(run: DistillationRun, config: Config) -> FitResult:
    """Train the distillation's student by the scheme of the config."""
    result: FitResult = catalog.load("scheme", config.distill.scheme.name)(run, **scheme_options(config))
    return result


def scheme_options(config: Config) -> dict[str, Any]:
    """As the scheme takes them; ConfigError where one is of another type."""
    scheme = config.distill.scheme
    return convert_options("scheme", scheme.name, scheme.entry_options(), "distill.scheme")


def validation_score(config: Config, read: Mapping[str, Path], watch: Callable[[float, int], None]) -> float:
    """Train the student once under the teacher: its score on validation data. No test data is opened.

    Args:
        watch: (validation score, epochs done) is called between epochs, as far as the scheme trains by `learn`.
    """
    splits = Splits.load(read["data"], test=False)
    run = prepare(config, read, splits).at_seed(config.seed, Path())
    score, y, title = splits.task.scoring.score, splits.validation.y, "distill: validation set"

    def look(student: nn.Module, epochs: int) -> None:
        if student is run.student:  # and none that a scheme trains beside it
            device = next(student.parameters()).device
            watch(score(answers_of(student, splits.validation, splits, device=device, title=title), y).value, epochs)

    result = train_student(replace(run, checkpoint=None, watch=look), config)
    answers = answers_of(run.student, splits.validation, splits, device=result.device, title=title)
    if not np.isfinite(answers).all():
        what = f"distill: what was trained gives {splits.task.answers.kind} that are not finite"
        raise TrainingError(what, "a lower learning rate")
    return score(answers, y).value


def layer_choices(config: Config, read: Mapping[str, Path]) -> dict[int, list[list[str]]]:
    """Place in `distill.losses` -> what to try as its `layers`: all that it chooses itself, and each pair alone.

    Losses whose layers are named in the config, and those that take no other choice, are left as they are.
    """
    splits = Splits.load(read["data"], test=False)
    setup = prepare(config, read, splits)
    losses = config.distill.losses
    places = [place for place, found in enumerate(losses) if found.weight]
    choices = {}
    for place, term in zip(places, setup.loss.terms, strict=True):
        pairs = [f"{pair.student.name}:{pair.teacher.name}" for pair in getattr(term, "pairs", ())]
        if len(pairs) < 2 or "layers" in losses[place].entry_options():
            continue
        tried = [pairs, *([pair] for pair in pairs[-MOST_LAYERS:])]
        taken = [layers for layers in tried if _takes(losses[place], layers, setup)]
        if len(taken) > 1:
            choices[place] = taken
    return choices


def _takes(loss: Loss, layers: list[str], setup: DistillationSetup) -> bool:
    """Whether a loss can work with these layers: some need two or more, and some name them in another way."""
    try:
        one = total_loss([loss.model_copy(update={"options": {**loss.entry_options(), "layers": layers}})])
        one.connect(setup.fresh(setup.config.seed), setup.network, setup.splits)
    except ConfigError:
        return False
    return True


def _connected(config: Config, seed: int, splits: Splits, student: nn.Module, teacher: nn.Module | None) -> TotalLoss:
    """The loss with its layers chosen; what its adapters start from depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loss = total_loss(config.distill.losses)
        loss.connect(student, teacher, splits)
    return loss


def _check_shape(teacher: Teacher, splits: Splits) -> None:
    """Before any training: the teacher's answers have the shape of the student's."""
    batch = next(batches(splits.train, splits, 2))
    with torch.no_grad():
        shape = tuple(teacher(batch).logits.shape)
    check_shape(shape, (len(batch.y), *splits.answer_shape), splits)
