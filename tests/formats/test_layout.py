"""Layouts describe tensors in memory correctly, and TFLite files have no unnecessary TRANSPOSE."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import lived_in
from support.parity import RUNTIMES, assert_exact
from torch import Tensor, nn

from edgekd.formats import tflite
from edgekd.formats.layout import IMAGE, Layout, transposition
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph

NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
LITERT = {"litert": RUNTIMES["litert"]}


def operators(graph: Graph) -> list[str]:
    """Return the names of the TFLite file's operators, in order."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite.serialize(graph), 0))
    codes = [NAMES[code.builtinCode] for code in model.operatorCodes]
    return [codes[op.opcodeIndex] for op in model.subgraphs[0].operators]


def metadata(graph: Graph) -> dict[str, object]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite.serialize(graph), 0))
    texts = {entry.name.decode(): bytes(model.buffers[entry.buffer].data).decode() for entry in model.metadata}
    return {name: json.loads(text) for name, text in texts.items() if name.endswith("_axes")}


def factors(size: int, random: np.random.Generator) -> tuple[int, ...]:
    """Return a random shape with `size` elements."""
    sizes = []
    while size > 1:
        sizes.append(int(random.choice([n for n in range(2, size + 1) if size % n == 0])))
        size //= sizes[-1]
        sizes += [1] * int(random.random() < 0.3)
    return tuple(sizes) or (1,)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_layout_tells_where_each_value_stands_after_any_reshapes_and_transposes(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.choice([1, 2, 3, 4, 6], random.integers(1, 5)))
    order: list[int | None] = [int(axis) for axis in random.permutation(len(shape))]
    order += [None] * int(random.integers(0, 2))
    layout, values = Layout.of(shape, tuple(order)), np.arange(np.prod(shape)).reshape(shape)
    memory = layout.arrange(values).ravel()
    for _ in range(5):
        axes = tuple(int(axis) for axis in random.permutation(values.ndim))
        layout, values = layout.transpose(axes), values.transpose(axes)
        new_shape = factors(values.size, random)
        if layout.reshape(new_shape) is None:  # the values have to be reordered first
            layout = Layout.of(values.shape)
            memory = layout.arrange(values).ravel()
        reshaped = layout.reshape(new_shape)
        assert reshaped is not None
        layout, values = reshaped, values.reshape(new_shape)
        assert layout.shape == values.shape
        assert np.array_equal(layout.arrange(values).ravel(), memory)
        if (axis_order := layout.order()) is not None:
            assert np.array_equal(Layout.of(values.shape, axis_order).arrange(values).ravel(), memory)
        if (rows := layout.rows()) is not None:
            order_of_last = rows[1].arrange(np.arange(values.shape[-1])).ravel()
            first = values.reshape(-1, values.shape[-1])[0]
            assert np.array_equal(memory.reshape(-1, values.shape[-1])[0], first[order_of_last])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_one_transposition_leads_from_a_layout_to_any_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.choice([1, 2, 3, 4], random.integers(1, 5)))
    source = Layout.of(shape, tuple(int(axis) for axis in random.permutation(len(shape))))
    reshaped = source.reshape(factors(int(np.prod(shape)), random)) or source
    target = Layout.of(reshaped.shape, tuple(int(axis) for axis in random.permutation(len(reshaped.shape))))
    values = np.arange(np.prod(shape)).reshape(reshaped.shape)
    transpose = transposition(reshaped, source.sizes, target)
    assert transpose is not None
    before, permutation, after = transpose
    moved = reshaped.arrange(values).reshape(before).transpose(permutation)
    assert moved.shape == after
    assert np.array_equal(moved.ravel(), target.arrange(values).ravel())


class Net(nn.Module):
    """Two convolutions, and linear layers on images and on rows, which the function `run` combines."""

    def __init__(self, run: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.point = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.flat, self.rows = nn.Linear(4 * 6 * 6, 5), nn.Linear(4, 5)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


WITHOUT_TRANSPOSE: dict[str, Callable[[Net, Tensor], Tensor]] = {
    "flattened before a linear layer": lambda net, x: net.flat(F.relu(net.conv(x).flatten(1)) + 1),
    "flattened channels last": lambda net, x: net.flat(net.conv(x).permute(0, 2, 3, 1).flatten(1)),
    "a row for each pixel": lambda net, x: net.rows(net.conv(x).flatten(2).transpose(1, 2)),
    "and back to an image": lambda net, x: net.point(
        net.conv(x).flatten(2).transpose(1, 2).transpose(1, 2).unflatten(2, (6, 6))
    ),
    "squeezed and excited": lambda net, x: (y := net.conv(x)) * torch.sigmoid(net.point(y.mean((2, 3), keepdim=True))),
    "joined on channels": lambda net, x: net.point(torch.cat([net.conv(x)[:, :2], net.conv(x)[:, 2:]], 1)),
    "taken channels last": lambda net, x: net.point(net.conv(x).permute(0, 2, 3, 1).flip(1).permute(0, 3, 1, 2)),
    "one step of many": lambda net, x: net.rows(net.conv(x).flatten(2).transpose(1, 2)[:, -1]),
}


@pytest.mark.parametrize("name", WITHOUT_TRANSPOSE)
def test_no_transpose_is_written_for_an_image(name: str) -> None:
    graph = assert_exact(lived_in(Net(WITHOUT_TRANSPOSE[name]), (3, 6, 6)), (3, 6, 6), samples=2, runtimes=LITERT)
    assert "TRANSPOSE" not in operators(graph)


def test_a_mean_stays_an_image_for_the_convolution_that_reads_it() -> None:
    graph = assert_exact(lived_in(Net(WITHOUT_TRANSPOSE["squeezed and excited"]), (3, 6, 6)), (3, 6, 6), samples=2)
    assert operators(graph) == ["CONV_2D", "MEAN", "CONV_2D", "LOGISTIC", "MUL"]


def test_channels_that_are_shuffled_cost_one_transpose() -> None:
    model = Net(lambda net, x: net.point(F.channel_shuffle(net.conv(x), 2)))
    graph = assert_exact(lived_in(model, (3, 6, 6)), (3, 6, 6), samples=2, runtimes=LITERT)
    assert operators(graph).count("TRANSPOSE") == 1


class OneAxis(nn.Module):
    """A convolution over time, then a linear layer on each step."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv1d(3, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.conv(x)).transpose(1, 2))


def test_a_network_over_time_takes_steps_first_and_says_so() -> None:
    graph = assert_exact(lived_in(OneAxis(), (3, 10)), (3, 10), samples=2, runtimes=LITERT)
    assert "TRANSPOSE" not in operators(graph)
    assert metadata(graph) == {"input_axes": [1, 0], "output_axes": [0, 1]}


def test_a_network_on_rows_takes_them_as_torch_does() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    graph = assert_exact(lived_in(model, (5, 6)), (5, 6), samples=2, runtimes=LITERT)
    assert operators(graph) == ["FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert metadata(graph) == {"input_axes": [0, 1], "output_axes": [0, 1]}


class ChannelsLast(nn.Module):
    """A convolution whose input and output the user's code already has channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def test_an_image_that_comes_channels_last_is_left_so() -> None:
    graph = assert_exact(lived_in(ChannelsLast(), (6, 5, 3)), (6, 5, 3), samples=2)
    assert operators(graph) == ["CONV_2D"]
    assert metadata(graph) == {"input_axes": [0, 1, 2], "output_axes": [0, 1, 2]}


class Views(nn.Module):
    """Outputs that are views of the input in other shapes."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.flatten(1), x.permute(0, 2, 3, 1), x.transpose(2, 3)


def test_outputs_that_only_show_the_input_otherwise_have_tensors_of_their_own() -> None:
    assert_exact(Views(), (3, 4, 5), samples=2)


def test_an_image_is_stored_channels_last() -> None:
    graph = capture(lived_in(Net(WITHOUT_TRANSPOSE["joined on channels"]), (3, 6, 6)), (3, 6, 6))
    assert metadata(graph)["input_axes"] == list(IMAGE)
