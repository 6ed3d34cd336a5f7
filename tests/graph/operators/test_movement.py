"""Tests that operators that move values do what torch does, and are exact in every runtime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.networks import lived_in
from support.parity import RUNTIMES, assert_exact
from support.single_operator import CODES, combined_graph, differing, differing_simulation, quantization
from torch import Tensor, nn

from edgekd.catalog.runtimes import Runtime
from edgekd.errors import UnsupportedOperatorError
from edgekd.graph import files
from edgekd.graph.capture import capture
from edgekd.graph.ops import Add, Concat, Mul, Requantize, Slice, Sub, Take, Transpose
from edgekd.graph.structure import Graph, Kernels
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import run_graph

Moves = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


class Moved(nn.Module):
    """A module that applies `moves` to the outputs of two convolutions, of shape (4, 6, 5) each."""

    def __init__(self, moves: Moves) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.moves = moves

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.moves(self.a(x), F.relu(self.b(x)))


MOVES: dict[str, Moves] = {
    "joined": lambda a, b: (
        torch.cat([a, b], 1),
        torch.cat([a, F.max_pool2d(b, 2, 1, 1)[:, :, :6, :5], a[:, :, 1:3]], 2),
        torch.cat([a.mean((2, 3)), b.mean((2, 3))], 1),
        torch.stack([a, b], 2),
    ),
    "cut": lambda a, b: (
        *a.chunk(2, 1),
        *torch.split(b, [1, 3, 2], 2)[1:],
        a.unbind(1)[-1] + a.select(1, 0),
        b.narrow(3, -3, 2),
        a[:, ::2, 1:, ::3],
        a.tensor_split(3, 2)[0],
    ),
    "turned": lambda a, b: (
        a.permute(0, 2, 3, 1),
        a.transpose(2, 3),
        b.flatten(2).mT,
        a.movedim(1, -1).flatten(1) + b.movedim(1, -1).flatten(1),
        F.channel_shuffle(a, 2),
        F.pixel_shuffle(a, 2),
    ),
    "padded": lambda a, b: (
        F.pad(a, (1, 2, 0, 1), value=-1.5),
        F.pad(b, (-1, 2, 1, -1)),
        F.pad(b, (1, 2, 2, 1), mode="reflect"),
        F.pad(a, (1, 2, 0, 1), mode="replicate"),
        F.pad(a, (1, 0, 0, 1), mode="circular"),
        F.pad(b.flatten(2), (2, 1), value=30.0),
    ),
    "taken": lambda a, b: (
        a.flip(3),
        a.flip([1, 2]),
        b.roll(2, 3),
        a[:, [2, 0, 3]],
        b.repeat(1, 2, 1, 1),
        a.mean((2, 3), keepdim=True).expand(-1, -1, 3, 4),
        b.repeat_interleave(2, 2),
    ),
}


@pytest.mark.parametrize("kind", MOVES)
def test_moved_values_are_exact_in_every_runtime(kind: str) -> None:
    assert_exact(lived_in(Moved(MOVES[kind]), (3, 6, 5)), (3, 6, 5), samples=4)


@pytest.mark.parametrize("kind", MOVES)
def test_values_move_as_torch_moves_them(kind: str) -> None:
    model, x = lived_in(Moved(MOVES[kind]), (3, 6, 5)), torch.randn(3, 3, 6, 5)
    for actual, expected in zip(Simulation(capture(model, (3, 6, 5)))(x), model(x), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_values_move_in_float_files_too(kind: str, runtime: str) -> None:
    model, x = lived_in(Moved(MOVES[kind]), (3, 6, 5)), torch.randn(2, 3, 6, 5)
    actual = run_graph(RUNTIMES[runtime], capture(model, (3, 6, 5)), (x.numpy(),))
    for one, other in zip(actual, model(x), strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["padded", "taken", "turned"])
def test_moves_survive_a_graphs_files(kind: str, tmp_path: Path) -> None:
    graph = capture(lived_in(Moved(MOVES[kind]), (3, 6, 5)), (3, 6, 5))
    files.save(graph, tmp_path)
    x = torch.randn(2, 3, 6, 5)
    for actual, expected in zip(Simulation(files.load(tmp_path))(x), Simulation(graph)(x), strict=True):
        assert torch.equal(actual, expected)


class WithToken(nn.Module):
    """A module that puts a learnt row before the rows of each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.last = nn.Parameter(torch.ones(1, 1, 6)), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([self.token.expand(len(x), -1, -1), x], 1))


def test_a_stored_row_is_joined_to_every_sample() -> None:
    graph = assert_exact(lived_in(WithToken(), (3, 6)), (3, 6), samples=4)
    assert [type(op).__name__ for op in graph.operators] == ["Constant", "Concat", "Linear"]


def rescalings(count: int) -> Graph:
    """Return a graph of Requantize operators between many scales, some of which XNNPACK leaves to LiteRT's kernel."""
    chance = np.random.default_rng(3)
    operators_with_scales = []
    for _ in range(count):
        source = quantization(chance, -3, 1)
        operators_with_scales.append(
            (Requantize("", (), ""), [source], quantization(chance, -2.5, 2.6, near=source.scale))
        )
    return combined_graph(operators_with_scales, len(CODES))


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
def test_codes_are_rescaled_as_each_kernel_set_does_it(runtime: Runtime) -> None:
    assert not differing(runtime, rescalings(150), [CODES[None]] * 150)


@pytest.mark.parametrize("kernels", ["xnnpack", "tflm", "onnxruntime"])
def test_training_rescales_codes_as_the_kernels_do(kernels: Kernels) -> None:
    assert not differing_simulation(kernels, rescalings(150), [CODES[None]] * 150)


def test_slices_and_positions_are_as_few_as_can_be() -> None:
    def moves(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        same = a.transpose(1, 2).transpose(1, 2) + torch.cat([b], 1)
        return a[:, 1:3, 1:, :2], same * b.expand(-1, 4, -1, -1)

    graph = capture(Moved(moves), (3, 6, 5))
    assert [type(op) for op in graph.operators if isinstance(op, (Slice, Transpose, Concat, Take))] == [Slice]


def test_a_product_repeats_what_is_one_long_by_itself() -> None:
    def moves(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        gate = torch.sigmoid(a.mean((2, 3))).view(-1, 4, 1, 1)
        return b * gate.expand_as(b), gate.expand(-1, -1, 6, 5) + a, gate.expand(-1, -1, 6, 5) - b

    graph = assert_exact(lived_in(Moved(moves), (3, 6, 5)), (3, 6, 5), samples=2)
    assert [type(op) for op in graph.operators if isinstance(op, (Take, Mul, Add, Sub))] == [Mul, Add, Take, Sub]


def test_reading_one_reshape_twice_writes_it_once() -> None:
    def moves(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:  # LiteRT's reference ADD once wrote over what was read later
        y = (a.mean((2, 3)) + b.mean((2, 3))).reshape(-1, 2, 2, 1)
        return y + torch.ones(2, 1), y.mean((2, 3)) * 2

    assert_exact(lived_in(Moved(moves), (3, 6, 5)), (3, 6, 5), samples=2)


def test_slices_with_steps_beyond_four_axes_are_exact() -> None:
    def moves(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        return torch.stack([a, b], 2)[:, ::2, :, 1::2], F.relu(a.unflatten(1, (2, 2))[:, :, ::2])

    assert_exact(lived_in(Moved(moves), (3, 6, 5)), (3, 6, 5), samples=2)


def test_rows_on_many_axes_are_exact() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last = nn.Conv2d(2, 4, 1), nn.Linear(2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.conv(x).reshape(-1, 2, 2, 3, 2, 2, 2))

    assert_exact(lived_in(Deep(), (2, 6, 4)), (2, 6, 4), samples=2)


@pytest.mark.parametrize(
    ("moves", "reason"),
    [
        (lambda a, b: (a.flip(0),), "mixes the samples"),
        (lambda a, b: (torch.cat([a, b], 0),), "along the batch"),
        (lambda a, b: (a.permute(1, 0, 2, 3),), "moves the batch"),
        (lambda a, b: (F.pad(a, (1, 1), value=float("-inf")),), "no scale covers"),
        (lambda a, b: (a.select(0, 0),), "along the batch"),
    ],
)
def test_what_mixes_samples_is_refused(moves: Moves, reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        capture(Moved(moves), (3, 6, 5))
