"""Channels that depend on one another are cut together, and the cost of the result is predicted correctly."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd import catalog
from edgekd.errors import ModelError
from edgekd.graph import cost
from edgekd.graph.capture import capture
from edgekd.pruning.groups import cut, cut_copy, find, name_of, width
from edgekd.pruning.widths import cost_model, fewest, kept_channels, ranking, removed_channels

SHAPE = (1, 8, 8)
NETWORKS = {
    "mlp": {"hidden": [24, 16]},
    "resnet8": {},
    "resnet20": {"width": 8},
    "resnet32": {"width": 8, "shortcut": "conv"},
    "dscnn": {"width": 16},
    "mobilenetv2": {"width": 0.35},
    "mobilenetv3": {"width": 0.35},
    "squeezenet": {"width": 0.35},
}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return catalog.load("model", name)(classes=4, input_shape=SHAPE, **NETWORKS[name]).eval()


class Branches(nn.Module):
    """Two concatenated convolutions with a group each, although one batch norm spans both."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 6, 3)
        self.norm, self.mix, self.head = nn.BatchNorm2d(10), nn.Conv2d(10, 8, 1), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.mix(self.norm(torch.cat([self.left(x), self.right(x)], 1))).mean((2, 3)))


class FixedShape(nn.Module):
    """A network whose forward hard-codes its number of channels, so that they can't be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.free, self.fixed, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 4, 3), nn.Linear(4 * 16, 2)

    def forward(self, x):
        return self.head(F.relu(self.fixed(self.free(x))).reshape(-1, 64))


@pytest.mark.parametrize("multiple", [1, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_cut_network_runs_and_costs_what_was_foretold(name, multiple):
    model = network(name)
    groups = find(model, SHAPE).groups
    widths = [width(group) for group in groups]
    scores = [torch.rand(n, generator=torch.Generator().manual_seed(n)) for n in widths]
    price, order = cost_model(model, SHAPE, groups), ranking(scores)
    gone = removed_channels(order, len(order) // 2, widths, multiple)
    smaller = cut_copy(model, SHAPE, [name_of(group) for group in groups], kept_channels(scores, gone))
    assert smaller(torch.zeros(2, *SHAPE)).shape == (2, 4)
    assert price.at(gone) == cost_model(smaller, SHAPE).at(())
    assert price.at(gone).macs < price.at([0] * len(groups)).macs
    assert price.at(gone).parameters == sum(parameter.numel() for parameter in smaller.parameters())
    assert [width(group) for group in find(smaller, SHAPE).groups] == [w - g for w, g in zip(widths, gone, strict=True)]
    assert all((w - g) % multiple == 0 for w, g in zip(widths, gone, strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_macs_are_those_of_the_captured_graph(name):
    model = network(name)
    assert cost_model(model, SHAPE).at(()).macs == cost.macs(capture(model, SHAPE))


@pytest.mark.parametrize("name", ["resnet32", "mobilenetv2"])
def test_channels_that_weigh_nothing_can_go_without_changing_an_output(name):
    """Cutting channels whose weights are zero leaves every logit unchanged, so the right channels were cut."""
    model = network(name)
    groups = find(model, SHAPE).groups
    remaining_by_group = [range(0, width(group), 2) for group in groups]
    with torch.no_grad():
        for group, remaining in zip(groups, remaining_by_group, strict=True):
            dead = [channel for channel in range(width(group)) if channel not in remaining]
            for item in group:
                layer = item.dep.target.module
                if isinstance(layer, nn.BatchNorm2d):
                    layer.weight[dead], layer.bias[dead] = 0.0, 0.0
    x = torch.rand(4, *SHAPE)
    before = model(x)
    cut(groups, remaining_by_group)
    torch.testing.assert_close(model(x), before)


def test_the_class_logits_are_never_cut():
    groups = find(network("mlp"), SHAPE).groups
    assert [(name_of(group), width(group)) for group in groups] == [("layers.3", 16), ("layers.1", 24)]


def test_padded_shortcuts_keep_the_residual_stream_and_say_so():
    search = find(network("resnet20"), SHAPE)
    assert {name_of(group).split(".")[-1] for group in search.groups} == {"conv1"}
    assert len(search.groups) == 9
    assert len(search.notes) == 1
    assert "padded" in search.notes[0]


def test_branches_that_are_put_side_by_side_are_cut_apart():
    model = Branches().eval()
    groups = {name_of(group): group for group in find(model, SHAPE).groups}
    assert {name: width(group) for name, group in groups.items()} == {"left": 4, "right": 6, "mix": 8}
    cut([groups["left"], groups["right"]], [[0], [1, 3, 5]])
    assert (model.norm.num_features, model.mix.in_channels) == (4, 4)
    assert model(torch.zeros(2, *SHAPE)).shape == (2, 2)


def test_a_layer_whose_width_is_spelt_out_in_the_forward_is_left_alone():
    search = find(FixedShape(), SHAPE)
    assert [name_of(group) for group in search.groups] == ["free"]
    assert "fixed" in search.notes[0]


def test_a_network_that_can_t_be_followed_names_the_way_out():
    class Untraceable(nn.Module):
        def forward(self, x):
            raise ValueError("not today")

    with pytest.raises(ModelError, match="not today") as caught:
        find(Untraceable(), SHAPE)
    assert caught.value.remedy == 'prune.criterion = "none"'


def test_all_channels_are_ranked_together_so_layers_get_different_widths():
    scores = [torch.tensor([5.0, 6.0, 7.0, 8.0]), torch.tensor([1.0, 2.0, 3.0, 9.0])]
    assert ranking(scores)[:4] == [1, 1, 1, 0]
    assert removed_channels(ranking(scores), 3, [4, 4], 1) == [0, 3]
    assert kept_channels(scores, [0, 3]) == [[0, 1, 2, 3], [3]]


def test_what_remains_is_the_nearest_multiple_and_never_nothing():
    order = [0] * 16
    assert [removed_channels(order, count, [16], 4)[0] for count in (0, 1, 2, 3, 6, 7, 15, 16)] == [
        0,
        0,
        0,
        4,
        4,
        8,
        12,
        12,
    ]
    assert removed_channels([0, 0, 0], 3, [3], 4) == [0]
    assert removed_channels([0], 1, [10], 4) == [2]


def test_the_fewest_channels_are_found_or_none_is_said():
    assert fewest(10, lambda count: count >= 7) == 7
    assert fewest(10, lambda count: True) == 0
    assert fewest(10, lambda count: False) is None
