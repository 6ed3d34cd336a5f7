"""Tests that a captured graph computes what the model computes, and that an error names a layer that can't be."""

import pytest
import torch
import torch.nn.functional as F
from support.networks import Everything, Perceptron, lived_in
from torch import Tensor, nn

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.graph.capture import capture
from edgekd.graph.ops import Add, Conv2d, Linear, Relu, Reshape, Slice
from edgekd.graph.structure import Graph
from edgekd.quantization.simulate import Simulation


def kinds(graph: Graph) -> list[str]:
    return [type(op).__name__ for op in graph.operators]


@pytest.mark.parametrize(("model", "shape"), [(Everything(), (3, 16, 16)), (Perceptron(), (3, 4, 4))])
def test_the_captured_graph_computes_what_the_model_computes(model: nn.Module, shape: tuple[int, ...]) -> None:
    model = lived_in(model, shape)
    x = torch.randn(8, *shape)
    actual = Simulation(capture(model, shape))(x)
    assert actual.std() > 0.1
    torch.testing.assert_close(actual, model(x), rtol=1e-4, atol=1e-5)


def test_batch_norm_and_activations_leave_no_operator_of_their_own() -> None:
    graph = capture(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    assert kinds(graph) == [
        "Conv2d", "Conv2d", "Conv2d", "Add", "Slice", "Pad", "Conv2d", "AveragePool2d", "Add", "MaxPool2d",
        "Reshape", "Linear", "GlobalAveragePool", "Linear", "Add",
    ]  # fmt: skip
    assert graph.operators[0].activation == "relu6"
    assert graph.operators[3].activation == "relu"


def test_slices_of_two_axes_are_one_slice() -> None:
    graph = capture(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    assert [op.ranges for op in graph.operators if isinstance(op, Slice)] == [((0, 16, 1), (0, 8, 2), (0, 8, 2))]


def test_an_activation_stays_apart_where_its_input_is_read_twice() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return (y + F.relu(y)).mean((2, 3))

    graph = capture(Both(), (1, 8, 8))
    assert kinds(graph) == ["Conv2d", "Relu", "Add", "GlobalAveragePool"]
    assert isinstance(graph.operators[1], Relu)
    assert isinstance(graph.operators[2], Add)
    assert graph.operators[2].activation == "none"


def test_a_batch_norm_without_a_layer_before_it_becomes_a_depthwise_convolution() -> None:
    model = lived_in(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.Flatten()), (3, 8, 8))
    graph = capture(model, (3, 8, 8))
    first = graph.operators[0]
    assert isinstance(first, Conv2d)
    assert first.depthwise
    x = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(Simulation(graph)(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_pool_over_everything_then_flatten_leaves_no_reshape() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert kinds(capture(model, (1, 8, 8))) == ["Conv2d", "GlobalAveragePool", "Linear"]


def test_same_padding_of_torch_is_kept() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, (4, 3), padding="same", dilation=(1, 2)))
    conv = capture(model, (1, 9, 9)).operators[0]
    assert isinstance(conv, Conv2d)
    assert conv.padding == (1, 2, 2, 2)


def test_operators_are_named_by_the_users_modules_and_lines() -> None:
    graph = capture(Everything(), (3, 16, 16))
    assert [op.name for op in graph.weighted()] == ["stem", "depthwise", "pointwise", "wide", "last", "head"]
    assert all(op.source.startswith("networks.py:") for op in graph.operators)


def test_an_operator_without_a_form_is_refused_by_layer_operator_and_line() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(1, 2, 3), nn.Hardshrink()

        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.fft(self.act(self.conv(x))).real.flatten(1)

    with pytest.raises(UnsupportedOperatorError) as caught:
        capture(Odd(), (1, 8, 8))
    assert "layer act (hardshrink, test_capture.py:" in caught.value.what
    assert "fft" in caught.value.what  # the same error names the operators after it
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda x: x / x.mean((2, 3), keepdim=True), "divides by computed values"),
        (lambda x: x.mean(2, keepdim=True) + x.mean(3, keepdim=True), "operands have the shapes"),
        (lambda x: F.avg_pool2d(x, 3, divisor_override=2), "number of its own"),
        (lambda x: F.max_pool2d(x, 2, dilation=2), "dilated"),
        (lambda x: F.conv_transpose2d(x, torch.ones(2, 2, 2, 2), dilation=2), "transposed and dilated"),
        (lambda x: F.adaptive_avg_pool2d(x, 3), "equal windows"),
        (lambda x: x.mean((0, 2)), "samples"),
        (lambda x: F.pad(x, (1, 1), value=float("-inf")), "no scale covers"),
        (lambda x: x.clamp(max=1), "[None, 1]"),
        (lambda x: x.reshape(1, -1), "batch"),
    ],
)
def test_a_form_of_an_operator_that_is_not_supported_says_why(forward: object, reason: str) -> None:
    class Wrapped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return forward(x)  # type: ignore[operator]

    with pytest.raises(UnsupportedOperatorError, match=reason.replace("[", r"\[")):
        capture(Wrapped(), (2, 8, 8))


def test_several_inputs_and_outputs_keep_their_order() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return F.relu(x) + y, F.relu6(y)

    graph = capture(Two(), (1, 4, 4), (1, 4, 4))
    assert graph.inputs == ("input", "input_1")
    added, clipped = (next(op for op in graph.operators if op.output == name) for name in graph.outputs)
    assert isinstance(added, Add) and isinstance(clipped, Relu) and clipped.activation == "relu6"


def test_control_flow_on_data_is_refused_with_torchs_reason() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x) if x.sum() > 0 else x

    with pytest.raises(ModelError, match=r"torch\.export"):
        capture(Branching(), (1, 4, 4))


def test_capture_leaves_the_model_in_the_mode_it_was_in() -> None:
    model = Everything().train()
    capture(model, (3, 16, 16))
    assert model.training


def test_layers_that_do_not_reach_the_output_are_dropped() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.idle(x)
            return self.used(x)

    graph = capture(Idle(), (4,))
    assert [op.name for op in graph.operators] == ["used"]
    assert isinstance(graph.operators[0], Linear)
    assert not any(isinstance(op, Reshape) for op in graph.operators)
