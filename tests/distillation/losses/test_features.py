"""Tests of the losses that compare layers, against values worked out by hand."""

import pytest
import torch
from support.outputs import answers, connected, labels, layers, value
from torch import nn

from edgekd.distillation.losses.adapters import projection, regressor
from edgekd.distillation.losses.embedding import Embeddings
from edgekd.distillation.losses.gram import SolutionFlow
from edgekd.distillation.losses.hidden import HiddenStates
from edgekd.distillation.losses.hints import Hints
from edgekd.distillation.losses.patient import PatientStates
from edgekd.errors import ConfigError
from edgekd.nn.layers import Layer, Networks, Pair


def fill(module, weight, bias=0.0):
    """Give all weights of a module one value, and all its biases another."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.fill_(weight if name.endswith("weight") else bias)
    return module


def test_a_hint_is_half_the_mean_square_behind_its_regressor():
    student, teacher = answers(None, a=[[1.0, 2.0]]), answers(None, a=[[4.0, 5.0, 9.0]])
    loss = fill(connected(Hints(["a"]), student, teacher), weight=1, bias=1)  # gives 1 + 2 + 1 = 4 thrice
    assert value(loss, student, teacher) == pytest.approx((0 + 1 + 25) / 3 / 2)


def test_the_finer_of_two_maps_is_pooled_for_a_hint():
    student = answers(None, a=[[[[1.0, 3.0], [5.0, 7.0]]]])
    teacher = answers(None, a=[[[[2.0]], [[6.0]]]])
    loss = fill(connected(Hints(["a"]), student, teacher), weight=1)  # the mean of the student's map is 4
    assert value(loss, student, teacher) == pytest.approx((4 + 4) / 2 / 2)


def test_the_hint_is_the_middle_layer_unless_told():
    maps = {name: torch.rand(2, 3, size, size) for name, size in (("a", 8), ("b", 4), ("c", 2))}
    outputs = answers(None, **maps)
    assert [pair.student.name for pair in connected(Hints(), outputs, outputs).pairs] == ["b"]


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "count"),
    [
        ((4, 8, 8), (6, 4, 4), nn.Conv2d, 4 * 6 + 6),
        ((10, 4), (10, 6), nn.Linear, 4 * 6 + 6),  # ten tokens
        ((4, 50), (6, 50), nn.Conv1d, 4 * 6 + 6),  # fifty steps in time
        ((4,), (6,), nn.Linear, 4 * 6 + 6),
    ],
)
def test_a_regressor_maps_channels_at_each_position(ours, theirs, kind, count):
    adapter = regressor(Pair(Layer("a", "", ours), Layer("b", "", theirs)), "hints")
    assert isinstance(adapter, kind) and sum(p.numel() for p in adapter.parameters()) == count


@pytest.mark.parametrize(("ours", "theirs"), [((4, 8, 8), (4,)), ((10, 4), (12, 6)), ((4,), (10, 4))])
def test_layers_that_have_nothing_in_common_are_refused(ours, theirs):
    with pytest.raises(ConfigError, match="can't compare the student's 'a'"):
        regressor(Pair(Layer("a", "", ours), Layer("b", "", theirs)), "hints")


@pytest.mark.parametrize("shape", [(4, 8, 8), (10, 4), (4,)])
def test_layers_of_one_width_need_no_matrix(shape):
    assert isinstance(projection(Pair(Layer("a", "", shape), Layer("b", "", shape)), "hidden"), nn.Identity)


def test_patient_distillation_compares_directions_of_sentence_vectors():
    # The means over two tokens are (3, 4) and (0, 2), so (0.6, 0.8) against (0, 1): 0.36 + 0.04
    student, teacher = answers(None, a=[[[2.0, 3.0], [4.0, 5.0]]]), answers(None, a=[[[9.0, 2.0], [-9.0, 2.0]]])
    assert value(connected(PatientStates(["a"]), student, teacher), student, teacher) == pytest.approx(0.4)


def test_patient_distillation_can_take_the_first_token():
    student, teacher = answers(None, a=[[[0.0, 5.0], [4.0, 5.0]]]), answers(None, a=[[[9.0, 0.0], [-9.0, 2.0]]])
    loss = connected(PatientStates(["a"], vector="first"), student, teacher)
    assert value(loss, student, teacher) == pytest.approx(2)


def test_patient_distillation_brings_narrow_networks_to_the_teachers_width():
    student, teacher = answers(None, a=[[1.0, 2.0]]), answers(None, a=[[3.0, 3.0, 3.0]])
    loss = fill(connected(PatientStates(["a"]), student, teacher), weight=1)
    assert value(loss, student, teacher) == pytest.approx(0, abs=1e-9)
    assert sum(p.numel() for p in loss.parameters()) == 6


def test_patient_distillation_leaves_the_last_layer_out_unless_told():
    names = ("blocks.0", "blocks.1", "blocks.2")
    blocks = tuple(Layer(name, "Block", (5, 4)) for name in names)
    loss = PatientStates()
    loss.connect(Networks(blocks, blocks, 2, 8))
    assert [pair.student.name for pair in loss.pairs] == ["blocks.0", "blocks.1"]


def test_hidden_states_are_compared_behind_one_matrix():
    student = answers(None, a=[[[1.0, 2.0]]], b=[[[0.0, 1.0]]])
    teacher = answers(None, a=[[[3.0, 3.0, 6.0]]], b=[[[1.0, 1.0, 1.0]]])
    loss = fill(connected(HiddenStates(["a", "b"]), student, teacher), weight=1)  # gives 3 thrice, and 1 thrice
    assert value(loss, student, teacher) == pytest.approx((9 / 3 + 0) / 2)
    assert sum(p.numel() for p in loss.parameters()) == 6


def test_each_layer_can_have_its_own_matrix():
    student = answers(None, a=torch.rand(2, 5, 4), b=torch.rand(2, 5, 3))
    teacher = answers(None, a=torch.rand(2, 5, 6), b=torch.rand(2, 5, 6))
    loss = connected(HiddenStates(["a", "b"], shared=False), student, teacher)
    assert sum(p.numel() for p in loss.parameters()) == 4 * 6 + 3 * 6
    with pytest.raises(ConfigError, match="share one matrix") as refused:
        connected(HiddenStates(["a", "b"]), student, teacher)
    assert refused.value.remedy == "shared = false"


def test_embeddings_are_found_by_their_kind():
    student, teacher = answers(None, words=[[[1.0, 2.0]]]), answers(None, tokens=[[[3.0, 3.0, 6.0]]])
    loss = Embeddings()
    loss.connect(Networks(layers(student.features, "Embedding"), layers(teacher.features, "Embedding"), 2, 8))
    assert value(fill(loss, weight=1), student, teacher) == pytest.approx(9 / 3)


def test_a_network_without_embeddings_is_refused_with_its_layers():
    with pytest.raises(ConfigError, match="the student has no layer of the kind Embedding") as refused:
        connected(Embeddings(), answers(None, conv=torch.rand(2, 3)), answers(None, conv=torch.rand(2, 3)))
    assert "conv" in refused.value.remedy


def test_the_flow_from_a_layer_to_the_next_by_hand():
    # Two positions. Ours: (1, 2) then (3, 4): (1 * 3 + 2 * 4) / 2 = 5.5. Theirs: (1, 1) then (1, 3), or then (0, 1):
    # 2 and 0.5, where ours are taken to two channels by a matrix of ones: 5.5 twice.
    student = answers(None, a=[[[[1.0, 2.0]]]], b=[[[[3.0, 4.0]]]])
    teacher = answers(None, a=[[[[1.0, 1.0]]]], b=[[[[1.0, 3.0]], [[0.0, 1.0]]]])
    loss = fill(connected(SolutionFlow(["a", "b"]), student, teacher), weight=1)
    assert value(loss, student, teacher) == pytest.approx((3.5**2 + 5**2) / 2)
    assert sum(p.numel() for p in loss.parameters()) == 2  # channels agree in the first layer


def test_maps_of_different_sizes_are_max_pooled_for_the_flow():
    fine = [[[[1.0, 2.0], [0.0, 5.0]]]]
    student, teacher = answers(None, a=fine, b=[[[[2.0]]]]), answers(None, a=[[[[3.0]]]], b=[[[[2.0]]]])
    loss = connected(SolutionFlow(["a", "b"]), student, teacher)
    assert value(loss, student, teacher) == pytest.approx((5 * 2 - 3 * 2) ** 2)


def test_a_flow_needs_two_layers():
    outputs = answers(None, a=torch.rand(2, 3, 4, 4))
    with pytest.raises(ConfigError, match="products of consecutive layers"):
        connected(SolutionFlow(["a"]), outputs, outputs)


def test_every_adapter_learns_in_each_step():
    student = answers(None, a=torch.rand(2, 4, 8, 8), b=torch.rand(2, 8, 4, 4))
    teacher = answers(None, a=torch.rand(2, 6, 8, 8), b=torch.rand(2, 12, 4, 4))
    for loss in (Hints(["a", "b"]), PatientStates(["a", "b"]), SolutionFlow(["a", "b"])):
        connected(loss, student, teacher)(student, teacher, labels(student)).backward()
        parameters = list(loss.parameters())
        assert parameters and all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)


def test_a_vector_that_is_neither_mean_nor_first_is_refused():
    with pytest.raises(ValueError, match="'last'"):
        PatientStates(vector="last")
