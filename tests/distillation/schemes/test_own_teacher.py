"""Tests of self-distillation: where the heads are attached, what their input is, and that they are removed."""

import math
from dataclasses import replace

import pytest
import torch
from support.small_training import small_run, stripes, tiny

from edgekd import catalog
from edgekd.config import Training
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.schemes.own_teacher import Head, mean_over_positions, own_teacher
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs

SPLITS = stripes()


def new_run(student=None, epochs=1):
    settings = Training(epochs=epochs, batch_size=16)
    return small_run(student or tiny(0), None, None, SPLITS, settings)


@pytest.mark.parametrize(
    ("name", "shape", "splits", "depths"),
    [
        ("resnet8", (1, 8, 8), SPLITS, 2),
        ("mlp", (1, 8, 8), SPLITS, 1),
    ],
)
def test_heads_stand_at_the_depths_of_a_catalog_network(name, shape, splits, depths):
    torch.manual_seed(0)
    student = catalog.load("model", name)(classes=2, input_shape=shape)
    result = own_teacher(new_run(student))
    assert len(result.along_the_way) == depths


def test_heads_learn_and_the_student_is_the_network_that_it_was():
    student = tiny(0)
    result = own_teacher(new_run(student, epochs=12), layers=["body.1", "body.2"])
    assert [row.what for row in result.along_the_way] == ["classifier at body.1", "classifier at body.2"]
    assert min(row.score.value for row in result.along_the_way) > 80
    assert student.state_dict().keys() == tiny(0).state_dict().keys()


def test_what_is_learnt_at_a_depth_changes_the_layers_before_it():
    weights = []
    for soft in (0.0, 1.0):
        student = tiny(0)
        own_teacher(new_run(student), layers=["body.1"], soft=soft)
        weights.append(student.body[0].weight)
    assert not torch.equal(*weights)


def test_a_head_without_preference_gives_the_mean_over_a_sequence():
    head = Head((3, 2), width=2, classes=2, channels_first=False)
    with torch.no_grad():
        head.attention.weight.zero_()
        head.projection[0].weight.copy_(torch.eye(2))
        head.projection[0].bias.zero_()
    _, features = head(torch.tensor([[[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]]]))
    assert features.tolist() == [pytest.approx([3.0, 1.0])]


def test_a_head_attends_to_the_steps_that_it_weighs():
    head = Head((2, 1), width=1, classes=2, channels_first=False)
    with torch.no_grad():
        head.attention.weight.fill_(math.log(3.0))
        head.projection[0].weight.fill_(1.0)
        head.projection[0].bias.zero_()
    _, features = head(torch.tensor([[[0.0], [1.0]]]))  # weights 1/4 and 3/4
    assert features.item() == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("shape", "channels_first"),
    [((3, 5, 7), False), ((3, 1, 1), False), ((6, 3), False), ((3, 6), True), ((3,), False)],
)
def test_heads_take_maps_sequences_and_vectors(shape, channels_first):
    logits, features = Head(shape, width=4, classes=5, channels_first=channels_first)(torch.randn(2, *shape))
    assert logits.shape == (2, 5) and features.shape == (2, 4)
    assert mean_over_positions(torch.randn(2, *shape), channels_first).shape == (2, 3)


def test_the_teacher_is_asked_only_if_wanted():
    calls = []

    def teacher(batch):
        calls.append(1)
        return Outputs(torch.zeros(len(batch.y), 2))

    run = replace(new_run(), teacher=teacher, loss=SoftTargets())
    own_teacher(run, layers=["body.1"])
    assert not calls
    own_teacher(run, layers=["body.1"], with_teacher=True)
    assert len(calls) == 6


def test_a_student_without_depths_of_its_own_asks_for_names():
    with pytest.raises(ConfigError, match="no intermediate depths") as refused:
        own_teacher(new_run())
    assert "body.1" in refused.value.remedy


@pytest.mark.parametrize(("layer", "remedy"), [("body.8", "body."), ("body", "layers = ")])
def test_a_layer_that_can_have_no_head_is_refused(layer, remedy):
    with pytest.raises(ConfigError, match=f"no layer '{layer}' before its deepest, 'body'") as refused:
        own_teacher(new_run(), layers=[layer])
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("options", [{"soft": 1.5}, {"hint": -1}, {"temperature": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="scheme 'self'"):
        own_teacher(new_run(), layers=["body.1"], **options)
