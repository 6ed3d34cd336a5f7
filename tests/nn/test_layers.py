"""Tests of layers: their names, and which layers of the student are paired with which of the teacher."""

import pytest
import torch

from edgekd.errors import ConfigError
from edgekd.models.mlp import MLP
from edgekd.models.resnet8 import ResNet8
from edgekd.models.resnet_cifar import resnet20
from edgekd.models.text_encoder import TextEncoder
from edgekd.nn.layers import Networks, embedding, survey
from edgekd.nn.outputs import answer

IMAGE, TOKENS = (3, 16, 16), torch.zeros(6, dtype=torch.int32)


def networks(student, teacher, example):
    return Networks(survey(student, example), survey(teacher, example), classes=10, samples=100)


def names_of(pairs):
    return [(pair.student.name, pair.teacher.name) for pair in pairs]


def test_residual_networks_are_matched_at_each_resolution():
    both = networks(ResNet8(10, IMAGE), resnet20(10, IMAGE), IMAGE)
    assert names_of(both.pairs(None, "attention", rank=3)) == [
        ("block1", "layer1"), ("block2", "layer2"), ("block3", "layer3"),
    ]  # fmt: skip


def test_transformers_are_matched_by_depth_the_last_with_the_last():
    student, teacher = (TextEncoder(10, (6,), vocabulary=9, width=8, heads=2, layers=n, hidden=8) for n in (2, 6))
    both = networks(student, teacher, TOKENS)
    assert names_of(both.pairs(None, "hidden")) == [("blocks.0", "blocks.2"), ("blocks.1", "blocks.5")]


def test_perceptrons_are_matched_by_their_activations():
    both = networks(MLP(10, IMAGE, (8,)), MLP(10, IMAGE, (16, 16)), IMAGE)
    assert names_of(both.pairs(None, "hints")) == [("layers.2", "layers.4")]


def test_the_embedding_is_what_the_classifier_is_given():
    assert embedding(survey(ResNet8(10, IMAGE), IMAGE), "rkd").name == "flatten"
    assert embedding(survey(MLP(10, IMAGE, (8, 6)), IMAGE), "rkd").name == "layers.4"


def test_layers_can_be_named_in_both_networks():
    both = networks(ResNet8(10, IMAGE), resnet20(10, IMAGE), IMAGE)
    assert names_of(both.pairs(["conv:conv1", "flatten"], "hints")) == [("conv", "conv1"), ("flatten", "flatten")]


@pytest.mark.parametrize(
    ("asked", "message", "remedy"),
    [
        (["blok1:layer1"], "the student has no layer 'blok1'", "'block1'"),
        (["block1:layr1"], "the teacher has no layer 'layr1'", "'layer1'"),
        (["flatten"], "3 dimensions", "block1"),
    ],
)
def test_a_wrong_layer_is_refused_with_the_right_ones(asked, message, remedy):
    both = networks(ResNet8(10, IMAGE), resnet20(10, IMAGE), IMAGE)
    with pytest.raises(ConfigError, match=message) as refused:
        both.pairs(asked, "attention", rank=3)
    assert remedy in refused.value.remedy


def test_a_module_that_runs_more_than_once_has_no_name_of_its_own():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.linear = torch.nn.ReLU(), torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.relu(self.linear(self.relu(x)))

    assert [layer.name for layer in survey(Twice(), (4,))] == ["linear"]


def test_looking_inside_leaves_no_trace():
    network = ResNet8(10, IMAGE)
    outputs = answer(network, torch.zeros(2, *IMAGE), ["block1", "flatten"])
    assert outputs.features["block1"].shape == (2, 16, 16, 16) and outputs.features["flatten"].shape == (2, 64)
    assert not any(module._forward_hooks for module in network.modules())


def test_heads_are_those_of_the_module_around():
    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.num_heads = 4
            self.inner = torch.nn.Sequential(torch.nn.Linear(8, 8))

        def forward(self, x):
            return self.inner(x)

    heads = {layer.name: layer.heads for layer in survey(torch.nn.Sequential(torch.nn.Linear(8, 8), Outer()), (8,))}
    assert heads == {"0": None, "1.inner.0": 4, "1.inner": 4, "1": None}


def test_a_single_layer_needs_no_brackets():
    both = networks(ResNet8(10, IMAGE), resnet20(10, IMAGE), IMAGE)
    assert names_of(both.pairs("block1:layer1", "hints")) == [("block1", "layer1")]


@pytest.mark.parametrize("asked", [3, [3], {"block1": "layer1"}])
def test_layers_that_are_no_names_are_refused(asked):
    both = networks(ResNet8(10, IMAGE), resnet20(10, IMAGE), IMAGE)
    with pytest.raises(ConfigError, match="are no names"):
        both.pairs(asked, "hints")


def test_an_attention_that_does_not_exist_is_refused_with_the_layers_there_are():
    text = TextEncoder(10, (6,), vocabulary=9, width=8, heads=2, layers=1, hidden=8)
    both = networks(text, text, TOKENS)
    with pytest.raises(ConfigError, match=r"no layer 'blocks\.9\.attention\.query'") as refused:
        both.attentions(["blocks.9.attention"], "attention_maps", "query", "key")
    assert "blocks.0.attention.query" in refused.value.remedy
