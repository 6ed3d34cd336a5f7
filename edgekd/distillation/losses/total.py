"""The weighted sum of the terms of `distill.losses`, and the layers that they compare."""

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
    answers are of that kind; one that looks at the targets alone has `asks_teacher = False`. A feature-based term,
    which compares layers, has a method `connect(networks)`, which is called once before training: it chooses `pairs`
    of layers and makes its adapters for their shapes. `Outputs.features` then has the outputs of these layers.
    """

    def __init__(self, terms: Sequence[nn.Module], weights: Sequence[float], names: Sequence[str] = ()) -> None:
        super().__init__()
        self.terms, self.weights = nn.ModuleList(terms), tuple(weights)
        self.names = tuple(names) or tuple(type(term).__name__ for term in terms)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the weighted sum, a scalar, in float32 even under mixed precision, in which products of matrices
        would round the distances between samples away."""
        with torch.autocast(student.logits.device.type, enabled=False):
            parts = (w * term(student, teacher, labels) for w, term in zip(self.weights, self.terms, strict=True))
            return sum(parts, start=student.logits.new_zeros(()))

    @property
    def feature_based(self) -> tuple[str, ...]:
        """The names of the terms that need the teacher's layers, not its answers alone."""
        return tuple(name for name, term in zip(self.names, self.terms, strict=True) if is_feature_based(term))

    def connect(self, student: nn.Module, teacher: nn.Module | None, splits: Splits) -> None:
        """Connect the feature-based terms to the layers of both networks.

        Raises:
            ConfigError: a term does not fit the task, or compares layers where the teacher is no torch network.
        """
        self._check_fit(splits.task)
        names = self.feature_based
        if not names:
            return
        if teacher is None:
            raise ConfigError(
                f"loss {names[0]!r} needs the teacher's layers; this one gives its answers alone",
                f"losses that compare answers: {', '.join(response_based(splits.task))}",
            )
        layers = survey(student, splits.example), survey(teacher, splits.example)
        networks = Networks(*layers, classes=len(splits.classes), samples=len(splits.train))
        for term in self.terms:
            if is_feature_based(term):
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
    """Return the loss that `distill.losses` describes, from the catalog and from users' own entries."""
    if not any(loss.weight for loss in losses):
        raise ConfigError("distill.losses has no term with a weight", 'distill.losses = [{name = "logits"}]')
    return _sum([loss for loss in losses if loss.weight])


def response_loss(losses: Sequence[Loss], task: Task) -> TotalLoss:
    """Return the terms that compare answers alone, for stages whose student has other layers.

    The task's own loss replaces the feature-based terms where no remaining term would learn from the teacher.
    """
    total = total_loss(losses)
    entries = [
        (term, weight, name)
        for term, weight, name in zip(total.terms, total.weights, total.names, strict=True)
        if not is_feature_based(term)
    ]
    if total.feature_based and not any(getattr(term, "asks_teacher", True) for term, _, _ in entries):
        return _sum([Loss(name=task.answers.loss)])
    return TotalLoss(*map(list, zip(*entries, strict=True)))


def is_feature_based(term: nn.Module) -> bool:
    """Return whether a loss compares layers, and so needs `connect`."""
    return callable(getattr(term, "connect", None))


def fits(term: Any, task: Task) -> bool:
    """Return whether a loss, or its class, fits the task's kind of answers; one without `compares` fits every kind."""
    return getattr(term, "compares", task.answers.kind) == task.answers.kind


def response_based(task: Task) -> tuple[str, ...]:
    """Return the names of the losses that compare answers alone and fit the task: the catalog's and the task's own."""
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
