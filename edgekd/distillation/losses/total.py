"""The terms of `distill.losses`, summed by weight, and the layers that they look at."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.config import Loss
from edgekd.data.splits import Splits
from edgekd.distillation.losses.labels import Labels
from edgekd.errors import ConfigError
from edgekd.nn.layers import Networks, survey
from edgekd.nn.outputs import Outputs


class TotalLoss(nn.Module):
    """weights[0] * terms[0] + weights[1] * terms[1] + ...; adapters in the terms are trained with the student.

    A term that looks inside the networks has a method `connect(networks)`, which is called once before training: it
    chooses `pairs` of layers and makes its adapters for their shapes. What it chose then stands in `features`.
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
        """Let the terms that look inside find their layers; ConfigError where the teacher shows none."""
        inside = self.looking_inside
        if not inside:
            return
        if teacher is None:
            raise ConfigError(
                f"loss {inside[0]!r} needs the teacher's layers; this one gives its answers alone",
                f"losses that compare answers: {', '.join(response_based())}",
            )
        layers = survey(student, splits.example), survey(teacher, splits.example)
        networks = Networks(*layers, classes=len(splits.classes), samples=len(splits.train))
        for term in self.terms:
            if looks_inside(term):
                term.connect(networks)  # type: ignore[operator]

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


def response_loss(losses: Sequence[Loss]) -> TotalLoss:
    """The terms that compare answers alone, for stages whose student has other layers.

    Soft targets take the place of those that look inside where nothing else would ask the teacher.
    """
    whole = total_loss(losses)
    kept = [
        (term, weight, name)
        for term, weight, name in zip(whole.terms, whole.weights, whole.names, strict=True)
        if not looks_inside(term)
    ]
    if whole.looking_inside and all(isinstance(term, Labels) for term, _, _ in kept):
        return _sum([Loss()])
    return TotalLoss(*map(list, zip(*kept, strict=True)))


def looks_inside(term: nn.Module) -> bool:
    """Whether a loss compares layers, and so needs `connect`."""
    return callable(getattr(term, "connect", None))


def response_based() -> tuple[str, ...]:
    """Names of the catalog's losses that compare answers alone."""
    return tuple(name for name in catalog.LOSSES if not hasattr(catalog.load("loss", name), "connect"))


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
