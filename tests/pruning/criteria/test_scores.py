"""The pruning criteria give the expected scores for networks with known weights."""

import pytest
import torch
from support.groups import Chain, Residual, group_of, saliency_data
from torch import nn

from edgekd.errors import ModelError
from edgekd.pruning.criteria.bn_scale import bn_scale
from edgekd.pruning.criteria.magnitude import magnitude
from edgekd.pruning.criteria.random import random
from edgekd.pruning.criteria.taylor import taylor
from edgekd.pruning.groups import parts, score, width

SHAPE = (2, 4, 4)


def test_magnitude_is_the_l2_norm_of_the_filters_that_make_a_channel():
    scores = magnitude(group_of(Chain(), "first", SHAPE), None, coupled=False, normalise=False)
    assert scores.tolist() == [5.0, 1.0, 2.0]


def test_magnitude_counts_the_weights_that_read_the_channel_as_well():
    scores = magnitude(group_of(Chain(), "first", SHAPE), None, normalise=False)
    torch.testing.assert_close(scores, torch.tensor([25.0 + 144.0, 1.0 + 1.0, 4.0 + 5.0]).sqrt())


def test_magnitude_with_norm_1_sums_absolute_weights_as_li_et_al_do():
    scores = magnitude(group_of(Chain(), "first", SHAPE), None, norm=1.0, coupled=False, normalise=False)
    assert scores.tolist() == [7.0, 1.0, 2.0]


def test_normalised_magnitude_has_a_mean_of_one_in_every_group():
    assert magnitude(group_of(Residual(), "inner", (1, 8, 8)), None).mean().item() == pytest.approx(1)


def test_a_flattened_channel_is_scored_by_all_the_positions_that_read_it():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten(), nn.Linear(8, 2, bias=False))
    with torch.no_grad():
        model[0].weight.zero_()
        model[2].weight.copy_(torch.tensor([[1.0] * 4 + [2.0] * 4, [0.0] * 8]))
    scores = magnitude(group_of(model, "0", (1, 2, 2)), None, normalise=False)
    assert scores.tolist() == [2.0, 4.0]


def test_bn_scale_is_the_absolute_scale_of_the_batch_norm():
    scores = bn_scale(group_of(Chain(), "first", SHAPE), None)
    torch.testing.assert_close(scores, torch.tensor([0.5, 2.0, 0.1]))


def test_bn_scale_takes_the_mean_where_a_residual_stream_has_two_batch_norms():
    model = Residual()
    nn.init.constant_(model.stem_norm.weight, 1.0)
    nn.init.constant_(model.out_norm.weight, -3.0)
    scores = bn_scale(group_of(model, "inner_out", (1, 8, 8)), None)
    assert scores.tolist() == [2.0] * 8


def test_bn_scale_without_a_batch_norm_names_the_layer_and_another_criterion():
    with pytest.raises(ModelError, match="no") as caught:
        bn_scale(group_of(Residual(), "inner", (1, 8, 8)), None)
    assert "inner" in caught.value.what
    assert caught.value.remedy == 'prune.criterion = "magnitude"'


def test_taylor_is_the_absolute_sum_of_weight_times_gradient():
    """The loss's derivative by a scale on channel c, taken at 1, is the sum of weight x gradient over filter c."""
    model = Chain().eval()
    batch = saliency_data(model)
    scale = torch.ones(3, requires_grad=True)
    losses = []
    for part in batch.batches(2):
        x = nn.functional.conv2d(part.x, model.first.weight * scale[:, None, None, None])
        logits = model.head(model.second(model.norm(x)).mean((2, 3)))
        losses.append(nn.functional.cross_entropy(logits, part.y))
    (expected,) = torch.autograd.grad(sum(losses) / 2, scale)
    scores = taylor(group_of(model, "first", SHAPE), batch, batches=2)
    torch.testing.assert_close(scores, expected.abs())


def test_taylor_looks_at_training_batches_alone_and_leaves_the_statistics_of_batch_norm():
    model = Chain()
    before = model.norm.running_mean.clone()
    taylor(group_of(model, "first", SHAPE), saliency_data(model))
    assert torch.equal(model.norm.running_mean, before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_random_depends_on_the_seed_and_the_group_alone():
    model = Residual()
    inner = group_of(model, "inner", (1, 8, 8))
    scores, same_seed, other_seed = (random(inner, saliency_data(model, (1, 8, 8), seed)) for seed in (3, 3, 4))
    assert torch.equal(scores, same_seed)
    assert not torch.equal(scores, other_seed)
    tied = group_of(model, "inner_out", (1, 8, 8))
    assert not torch.equal(random(tied, saliency_data(model, (1, 8, 8), 3))[: width(inner)], scores)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda group, batch: torch.ones(1), "shape"),
        (lambda group, batch: [1.0, 2.0], "list"),
        (lambda group, batch: torch.full((width(group),), float("nan")), "finite"),
    ],
)
def test_a_criterion_that_breaks_its_contract_is_named_with_the_group(wrong, says):
    with pytest.raises(ModelError, match=says) as caught:
        score(group_of(Chain(), "first", SHAPE), None, wrong, {}, "mine:wrong")
    assert "'mine:wrong'" in caught.value.what
    assert "first" in caught.value.what
    assert caught.value.remedy.startswith("prune.criterion")


def test_depthwise_layers_make_their_input_s_channels():
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(1))
    model.append(nn.Flatten()).append(nn.Linear(2, 2))
    sides = [(type(part.layer).__name__, part.side) for part in parts(group_of(model, "1", (1, 8, 8)))]
    assert sorted(sides) == [("Conv2d", "in"), ("Conv2d", "out"), ("Conv2d", "out")]
