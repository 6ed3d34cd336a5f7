"""The weighted sum of losses that `distill.losses` describes."""

import pytest
import torch
from torch import nn

from edgekd.config import Distill, Loss
from edgekd.errors import ConfigError
from edgekd.losses.logits import SoftTargets
from edgekd.losses.total import TotalLoss, total_loss
from edgekd.nn.outputs import Outputs

STUDENT, TEACHER = Outputs(torch.tensor([[0.1, 0.9], [2.0, 1.0]])), Outputs(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
LABELS = torch.tensor([0, 1])


class Adapter(nn.Module):
    """A user's loss with something to learn."""

    def __init__(self, width: int = 2):
        super().__init__()
        self.map = nn.Linear(width, 2)

    def forward(self, student, teacher, labels):
        return (self.map(student.logits) - teacher.logits).square().mean()


def test_terms_are_summed_by_weight():
    soft, hard = SoftTargets(hard=0), SoftTargets(hard=1)
    total = TotalLoss([soft, hard], [2.0, 0.5])(STUDENT, TEACHER, LABELS)
    parts = 2 * soft(STUDENT, TEACHER, LABELS) + 0.5 * hard(STUDENT, TEACHER, LABELS)
    assert torch.allclose(total, parts)


def test_options_beside_the_name_reach_the_loss():
    settings = Distill.model_validate({"losses": [{"name": "logits", "temperature": 2.0, "hard": 0.5}]})
    (term,) = total_loss(settings.losses).terms
    assert isinstance(term, SoftTargets) and (term.temperature, term.hard) == (2.0, 0.5)


def test_a_users_loss_needs_no_registration_and_its_adapter_can_be_trained():
    total = total_loss([Loss(name=f"{__name__}:Adapter", width=2)])
    assert sum(p.numel() for p in total.parameters()) == 6
    assert total(STUDENT, TEACHER, LABELS).ndim == 0


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([Loss(weight=0)], "no term"),
        ([], "no term"),
        ([Loss(temperature=-1)], "above 0"),
        ([Loss(warmth=3)], "warmth"),
        ([Loss(name="logit")], "logit"),
        ([Loss(name="math:floor", options={})], "floor"),
    ],
)
def test_losses_that_make_no_sense_are_refused(losses, told):
    with pytest.raises(ConfigError, match=told):
        total_loss(losses)
