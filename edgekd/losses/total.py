"""The terms of `distill.losses`, summed by weight."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd import catalog
from edgekd.config import Loss
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs


class TotalLoss(nn.Module):
    """weights[0] * terms[0] + weights[1] * terms[1] + ...; adapters in the terms are trained with the student."""

    def __init__(self, terms: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.terms, self.weights = nn.ModuleList(terms), tuple(weights)

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """As for each loss of the catalog: a scalar comes back."""
        parts = (w * term(student, teacher, labels) for w, term in zip(self.weights, self.terms, strict=True))
        return sum(parts, start=student.logits.new_zeros(()))


def total_loss(losses: Sequence[Loss]) -> TotalLoss:
    """The loss that `distill.losses` describes, from the catalog and from users' own entries."""
    if not any(loss.weight for loss in losses):
        raise ConfigError("distill.losses has no term with a weight", 'distill.losses = [{name = "logits"}]')
    return TotalLoss([_term(loss) for loss in losses], [loss.weight for loss in losses])


def _term(loss: Loss) -> nn.Module:
    factory = catalog.load("loss", loss.name)
    try:
        term = factory(**loss.entry_options())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"loss {loss.name!r}: {error}", "mind its options in distill.losses") from error
    if not isinstance(term, nn.Module):
        raise ConfigError(f"loss {loss.name!r} is a {type(term).__name__}", "name a class of torch.nn.Module")
    return term
