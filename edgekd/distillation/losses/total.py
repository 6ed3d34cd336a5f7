"""The terms of `distill.losses`, summed by weight, and the layers that they look at."""

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.config import Loss
from edgekd.data.splits import Splits
from edgekd.errors import ConfigError
from edgekd.nn.layers import Networks, survey
from edgekd.nn.outputs import Outputs
from edgekd.tasks.task import Task


class TotalLoss(nn.Module):
    """weights[0] * terms[0] + weights[1] * terms[1] + ...; adapters in the terms are trained with the student.

    A term that compares answers of one kind says so in an attribute `compares`, "logits" say, and fits the tasks whose
    answers are of that kind; one that looks at the targets alone has `asks_teacher = False`. A term that looks inside
    the networks has a method `connect(networks)`, which is called once before training: it chooses `pairs` of layers
    and makes its adapters for their shapes. What it chose then stands in `features`.
    """

    def __init__(self, terms: Sequence[nn.Module], weights: Sequence[float], names: Sequence[str] = ()) -> None:
        super().__init__()
        self.terms, self.weights = nn.ModuleList(terms), tuple(weights)
        self.names = tuple(names) or tuple(type(term).__name__ for term in terms)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """As for each loss of the catalog: a scalar comes back. In float32 under mixed precision too: products of
        matrices would round the distances between samples away."""
        with torch.autocast(student.logits.device.type, enabled=False):
            parts = (w * term(student, teacher, labels) for w, term in zip(self.weights, self.terms, strict=True))
            return sum(parts, start=student.logits.new_zeros(()))

    @property
    def looking_inside(self) -> tuple[str, ...]:
        """The names of the terms that need the teacher's layers, not its answers alone."""
        return tuple(name for name, term in zip(self.names, self.terms, strict=True) if looks_inside(term))

    def connect(self, student: nn.Module, teacher: nn.Module | None, splits: Splits) -> None:
        """Let the terms that look inside find their layers.

        Raises:
            ConfigError: a term does not fit the task, or looks inside a teacher that shows no layers.
        """
        self._check_fit(splits.task)
        inside = self.looking_inside
        if not inside:
            return
        if teacher is None:
            raise ConfigError(
                f"loss {inside[0]!r} needs the teacher's layers; this one gives its answers alone",
                f"losses that compare answers: {', '.join(response_based(splits.task))}",
            )
        layers = survey(student, splits.example), survey(teacher, splits.example)
        networks = Networks(*layers, classes=len(splits.classes), samples=len(splits.train))
        for term in self.terms:
            if looks_inside(term):
                term.connect(networks)  # type: ignore[operator]

    def _check_fit(self, task: Task) -> None:
        for name, term in zip(self.names, self.terms, strict=True):
            if not fits(term, task):
                remedy = f"distill.losses = [{{name = {json.dumps(task.answers.loss)}}}]"
                task.require(str(getattr(term, "compares", "")), f"loss {name!r}", remedy)

    @property
    def student_layers(self) -> tuple[str, ...]:
        """Names of the student's layers that the terms compare; known after `connect`."""
        return tuple(dict.fromkeys(pair.student.name for term in self.terms for pair in getattr(term, "pairs", ())))

    @property
    def teacher_layers(self) -> tuple[str, ...]:
        """Names of the teacher's layers that the terms compare; known after `connect`."""
        return tuple(dict.fromkeys(pair.teacher.name for term in self.terms for pair in getattr(term, "pairs", ())))


def total_loss(losses: Sequence[Loss]) -> TotalLoss:
    """The loss that `distill.losses` describes, from the catalog and from users' own entries."""
    if not any(loss.weight for loss in losses):
        raise ConfigError("distill.losses has no term with a weight", 'distill.losses = [{name = "logits"}]')
    return _sum([loss for loss in losses if loss.weight])


def response_loss(losses: Sequence[Loss], task: Task) -> TotalLoss:
    """The terms that compare answers alone, for stages whose student has other layers.

    The task's own loss takes the place of those that look inside where nothing else would ask the teacher.
    """
    whole = total_loss(losses)
    kept = [
        (term, weight, name)
        for term, weight, name in zip(whole.terms, whole.weights, whole.names, strict=True)
        if not looks_inside(term)
    ]
    if whole.looking_inside and not any(getattr(term, "asks_teacher", True) for term, _, _ in kept):
        return _sum([Loss(name=task.answers.loss)])
    return TotalLoss(*map(list, zip(*kept, strict=True)))


def looks_inside(term: nn.Module) -> bool:
    """Whether a loss compares layers, and so needs `connect`."""
    return callable(getattr(term, "connect", None))


def fits(term: Any, task: Task) -> bool:
    """Whether a loss, or its class, compares what the task's answers are; one that does not say so compares any."""
    return getattr(term, "compares", task.answers.kind) == task.answers.kind


def response_based(task: Task) -> tuple[str, ...]:
    """Names of the losses that compare answers alone and fit the task: of the catalog, and the task's own."""
    names = dict.fromkeys((*catalog.LOSSES, task.answers.loss))
    entries = {name: catalog.load("loss", name) for name in names}
    return tuple(name for name, loss in entries.items() if not hasattr(loss, "connect") and fits(loss, task))


def _sum(losses: Sequence[Loss]) -> TotalLoss:
    return TotalLoss([_term(loss) for loss in losses], [loss.weight for loss in losses], [loss.name for loss in losses])


def _term(loss: Loss) -> nn.Module:
    factory = catalog.load("loss", loss.name)
    try:
        term = factory(**loss.entry_options())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"loss {loss.name!r}: {error}", "mind its options in distill.losses") from error
    if not isinstance(term, nn.Module):
        raise ConfigError(f"loss {loss.name!r} is a {type(term).__name__}", "name a class of torch.nn.Module")
    return term
