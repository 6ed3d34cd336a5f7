"""Sets a distillation up from the config and the folders of earlier stages, for the stage, for tuning and for check."""

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

MOST_LAYERS = 5  # pairs of layers, the last ones, that tuning tries one by one


@dataclass(frozen=True)
class DistillationSetup:
    """What the trainings of a student at all seeds have in common.

    Attributes:
        plan: the student's blueprint.
        fresh: seed -> an untrained student.
        teacher: the teacher, opened once for all seeds.
        network: the teacher's network, where it is one torch module.
        views: the augmentation views that the teacher's answers are stored for.
        loss: the loss for the config's own seed, connected to its layers.
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
        """Return the training at one seed; each has its own checkpoint."""
        config, own = self.config, seed == self.config.seed
        student = self.fresh(seed)
        connect = partial(_connect_loss, config, seed, self.splits)
        loss = self.loss if own else connect(student, self.network)
        return DistillationRun(
            student, self.fresh, self.teacher, loss, loss.student_layers, self.splits, config.distill, seed,
            config.compute, config.data.augment, self.views,
            checkpoint=out / ("training.ckpt" if own else f"seed{seed}.ckpt"),
            title="distill" if own else f"distill: seed {seed}",
            teacher_network=None if self.network is None else partial(copy.deepcopy, self.network),
            connect=connect,
        )  # fmt: skip


def prepare(config: Config, folders: Mapping[str, Path], splits: Splits) -> DistillationSetup:
    """Set up student, teacher and losses; a fault in any of them is refused here, before the first training.

    Args:
        folders: the artifacts of the stages "teacher" and, where its answers are stored, "answers".
    """
    setup = _without_answers(config, splits, open_network(folders["teacher"]))
    layers, settings = setup.loss.teacher_layers, config.distill
    answers = None if layers else folders.get("answers")  # layers are not stored
    teacher = open_teacher(folders["teacher"], splits, settings.precision, layers, answers, settings.combine)
    _check_shape(teacher, splits)
    return replace(setup, teacher=teacher, views=views_of(answers))


def rehearse(config: Config, splits: Splits, positions: Positions) -> None:
    """Set everything up with untrained networks, as far as the first training.

    What a teacher, a loss or a scheme of the catalog would refuse, perhaps after another training of hours, is refused
    here in seconds, with the same error.

    Args:
        positions: the positions of the splits' samples in the data set, as `load_positions` returns them.
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
    """Return the untrained network of a teacher, where it is a torch network; try other teachers on two samples."""
    if source.answers is not None:
        precomputed.read_answers(source.answers, splits, positions)
    elif source.foreign:
        external.try_out(source, splits)
    else:
        return untrained(source, splits, seed)[0]
    return None


class _FirstTraining(Exception):
    """Raised where the first training would begin."""


def _refuse_to_train(*_: Any, **__: Any) -> FitResult:
    raise _FirstTraining


def _no_teacher_yet(batch: Batch) -> Outputs:
    raise AssertionError("a teacher was asked before it was opened")


def _without_answers(config: Config, splits: Splits, network: nn.Module | None) -> DistillationSetup:
    """Set up student and losses for a teacher with this network, or with none; the teacher itself is not opened."""
    student, plan, notes = untrained(config.student, splits, config.seed)

    def fresh(seed: int) -> nn.Module:
        return untrained(config.student, splits, seed)[0]

    loss = _connect_loss(config, config.seed, splits, student, network)
    return DistillationSetup(config, splits, plan, fresh, _no_teacher_yet, network, None, loss, notes)


def train_student(run: DistillationRun, config: Config) -> FitResult:
    """Train the distillation's student by the scheme of the config."""
    result: FitResult = catalog.load("scheme", config.distill.scheme.name)(run, **scheme_options(config))
    return result


def scheme_options(config: Config) -> dict[str, Any]:
    """Return the scheme's options in the types of its signature; ConfigError where one is of another type."""
    scheme = config.distill.scheme
    return convert_options("scheme", scheme.name, scheme.entry_options(), "distill.scheme")


def validation_score(config: Config, folders: Mapping[str, Path], watch: Callable[[float, int], None]) -> float:
    """Train the student once and return its validation score; no test data is opened.

    Args:
        folders: the artifacts of earlier stages, as for `prepare`, and "data".
        watch: (validation score, finished epochs) is called between epochs, where the scheme trains by `learn`.
    """
    splits = Splits.load(folders["data"], test=False)
    run = prepare(config, folders, splits).at_seed(config.seed, Path())
    score, y, title = splits.task.scoring.score, splits.validation.y, "distill: validation set"

    def report(student: nn.Module, epochs: int) -> None:
        if student is run.student:  # not another network that the scheme trains
            device = next(student.parameters()).device
            watch(score(answers_of(student, splits.validation, splits, device=device, title=title), y).value, epochs)

    result = train_student(replace(run, checkpoint=None, watch=report), config)
    answers = answers_of(run.student, splits.validation, splits, device=result.device, title=title)
    if not np.isfinite(answers).all():
        what = f"distill: what was trained gives {splits.task.answers.kind} that are not finite"
        raise TrainingError(what, "a lower learning rate")
    return score(answers, y).value


def layer_choices(config: Config, folders: Mapping[str, Path]) -> dict[int, list[list[str]]]:
    """Return the choices of `layers` that tuning may try, by the loss's position in `distill.losses`.

    The choices are all pairs that the loss finds itself, and each of its last pairs alone. Losses whose layers the
    config names, and those that accept no other choice, have no entry.
    """
    splits = Splits.load(folders["data"], test=False)
    setup = prepare(config, folders, splits)
    losses = config.distill.losses
    places = [place for place, loss in enumerate(losses) if loss.weight]
    choices = {}
    for place, term in zip(places, setup.loss.terms, strict=True):
        pairs = [f"{pair.student.name}:{pair.teacher.name}" for pair in getattr(term, "pairs", ())]
        if len(pairs) < 2 or "layers" in losses[place].entry_options():
            continue
        candidates = [pairs, *([pair] for pair in pairs[-MOST_LAYERS:])]
        usable = [layers for layers in candidates if _accepts(losses[place], layers, setup)]
        if len(usable) > 1:
            choices[place] = usable
    return choices


def _accepts(loss: Loss, layers: list[str], setup: DistillationSetup) -> bool:
    """Return whether a loss accepts these layers: some need two or more, and some name them in another way."""
    try:
        trial = total_loss([loss.model_copy(update={"options": {**loss.entry_options(), "layers": layers}})])
        trial.connect(setup.fresh(setup.config.seed), setup.network, setup.splits)
    except ConfigError:
        return False
    return True


def _connect_loss(
    config: Config, seed: int, splits: Splits, student: nn.Module, teacher: nn.Module | None
) -> TotalLoss:
    """Return the loss connected to its layers; the first weights of its adapters depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loss = total_loss(config.distill.losses)
        loss.connect(student, teacher, splits)
    return loss


def _check_shape(teacher: Teacher, splits: Splits) -> None:
    """Raise ModelError where the teacher's answers have another shape than the student's."""
    batch = next(batches(splits.train, splits, 2))
    with torch.no_grad():
        shape = tuple(teacher(batch).logits.shape)
    check_shape(shape, (len(batch.y), *splits.answer_shape), splits)
