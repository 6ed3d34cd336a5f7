"""Tests of the weighted sum of losses that `distill.losses` describes."""

from dataclasses import replace

import pytest
import torch
from support.outputs import connected
from support.small_training import Tiny, stripes
from torch import nn

from edgekd.config import Distill, Loss
from edgekd.distillation.losses.attention import AttentionTransfer
from edgekd.distillation.losses.labels import Labels
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.losses.total import TotalLoss, response_based, response_loss, total_loss
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs
from edgekd.tasks.classification import CLASSIFICATION

STUDENT, TEACHER = Outputs(torch.tensor([[0.1, 0.9], [2.0, 1.0]])), Outputs(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
LABELS = torch.tensor([0, 1])


class Adapter(nn.Module):
    """A user's loss that has parameters to learn."""

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
    ("losses", "message"),
    [
        ([Loss(weight=0)], "no term"),
        ([], "no term"),
        ([Loss(temperature=-1)], "above 0"),
        ([Loss(warmth=3)], "warmth"),
        ([Loss(name="logit")], "logit"),
        ([Loss(name="math:floor", options={})], "floor"),
    ],
)
def test_losses_that_make_no_sense_are_refused(losses, message):
    with pytest.raises(ConfigError, match=message):
        total_loss(losses)


def combined(*losses):
    return Distill.model_validate({"losses": [dict(loss) for loss in losses]}).losses


LOGITS, ATTENTION = {"name": "logits", "weight": 1.0, "temperature": 4}, {"name": "attention", "weight": 1000}


def test_soft_targets_and_attention_can_be_combined():
    maps = torch.rand(2, 3, 4, 4), torch.rand(2, 5, 4, 4)
    student, teacher = (Outputs(o.logits, {"a": x}) for o, x in zip((STUDENT, TEACHER), maps, strict=True))
    total = total_loss(combined(LOGITS, ATTENTION))
    soft, attention = total.terms
    connected(attention, student, teacher)
    assert total.feature_based == ("attention",)
    assert total.student_layers == total.teacher_layers == ("a",)
    parts = soft(student, teacher, LABELS) + 1000 * attention(student, teacher, LABELS)
    assert total(student, teacher, LABELS).item() == pytest.approx(parts.item())
    assert isinstance(attention, AttentionTransfer) and soft.temperature == 4


def test_where_layers_are_no_longer_alike_the_terms_about_answers_remain():
    remaining = response_loss(combined(ATTENTION, {"name": "dkd"}, LOGITS, {"name": "rkd"}), CLASSIFICATION)
    assert remaining.names == ("dkd", "logits") and not remaining.feature_based


@pytest.mark.parametrize("losses", [[ATTENTION], [ATTENTION, {"name": "labels"}]])
def test_soft_targets_take_the_place_of_what_looked_inside_where_nothing_else_asks_the_teacher(losses):
    (term,) = response_loss(combined(*losses), CLASSIFICATION).terms
    assert isinstance(term, SoftTargets)


def test_labels_alone_stay_labels_alone():
    (term,) = response_loss(combined({"name": "labels"}), CLASSIFICATION).terms
    assert isinstance(term, Labels)


def test_the_losses_that_compare_answers_alone_are_known():
    assert response_based(CLASSIFICATION) == ("logits", "labels", "standardised", "dkd", "dist")


def of_values(task=CLASSIFICATION):
    """Return a task whose answers are not logits."""
    own = f"{__name__}:Adapter"
    return replace(task, answers=replace(task.answers, kind="values", loss=own))


def test_a_loss_for_another_kind_of_answers_is_refused_with_one_that_fits():
    splits = replace(stripes(count=4), task=of_values())
    with pytest.raises(ConfigError, match=r"loss 'dkd' is made for logits, .* 'classification' are values") as caught:
        total_loss(combined({"name": "hints"}, {"name": "dkd"})).connect(Tiny(), Tiny(), splits)
    assert f'"{__name__}:Adapter"' in caught.value.remedy
    total_loss(combined({"name": f"{__name__}:Adapter"})).connect(Tiny(), None, splits)
    assert response_based(of_values()) == (f"{__name__}:Adapter",)


def test_a_tasks_own_loss_takes_the_place_of_what_looked_inside():
    (term,) = response_loss(combined(ATTENTION), of_values()).terms
    assert isinstance(term, Adapter)


def test_mixed_precision_leaves_the_loss_in_float32():
    """Samples that are close to each other would all have the same distance in bf16."""
    x = 100 + torch.rand(6, 8)
    student, teacher = Outputs(torch.zeros(6, 2), {"a": x}), Outputs(torch.zeros(6, 2), {"a": 3 * torch.rand(6, 4)})
    labels = torch.zeros(6, dtype=torch.int64)
    losses = combined(*({"name": name, "layers": ["a"]} for name in ("rkd", "similarity", "correlation", "hints")))
    total = total_loss(losses)
    for term in total.terms:
        connected(term, student, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = total(student, teacher, labels)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, total(student, teacher, labels))
