"""Tests that unrolled GRU, LSTM and RNN compute what torch does, in shared int8 layers, exactly in every runtime."""

import numpy as np
import pytest
import torch
from support.networks import lived_in, quantized
from support.parity import assert_exact
from torch import Tensor, nn

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats import tflite
from edgekd.graph import cost
from edgekd.graph.capture import capture
from edgekd.graph.ops import Concat, Linear
from edgekd.quantization.simulate import Simulation

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """A recurrent network that returns the last state, or every state with `all_states`."""

    def __init__(self, cell: str, layers: int = 1, all_states: bool = False, **options: object) -> None:
        super().__init__()
        self.cell = CELLS[cell](6, 12, layers, batch_first=True, **options)
        self.linear = nn.Linear(12, 4)
        self.all_states = all_states

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cell(x)
        return self.linear(states if self.all_states else states[:, -1])


@pytest.mark.parametrize("cell", CELLS)
def test_unrolled_steps_compute_what_torch_does_and_share_their_weights(cell):
    model = lived_in(Recurrent(cell), (5, 6))
    graph = capture(model, (5, 6))
    x = torch.randn(7, 5, 6)
    torch.testing.assert_close(Simulation(graph)(x), model(x), atol=1e-5, rtol=1e-4)
    linear = [op for op in graph.operators if isinstance(op, Linear)]
    owners = {op.name for op in linear if not op.shares}
    assert {op.shares for op in linear if op.shares} <= owners
    weights = model.cell.weight_ih_l0.numel() + model.cell.weight_hh_l0.numel() + model.linear.weight.numel()
    assert sum(op.weight.size for op in linear if not op.shares) == weights
    assert not any(isinstance(op, Concat) for op in graph.operators), "only the last state is read"


@pytest.mark.parametrize("cell", CELLS)
def test_unrolled_steps_are_exact(cell):
    assert_exact(lived_in(Recurrent(cell), (4, 6)), (4, 6), samples=16)


def test_layers_on_top_of_one_another_are_exact_in_all_their_states():
    model = lived_in(Recurrent("gru", layers=2, all_states=True), (3, 6))
    graph = assert_exact(model, (3, 6), samples=8)
    assert [op.axis for op in graph.operators if isinstance(op, Concat)] == [0, 0]
    x = torch.randn(2, 3, 6)
    torch.testing.assert_close(Simulation(capture(model, (3, 6)))(x), model(x), atol=1e-5, rtol=1e-4)


def test_shared_weights_stand_in_the_file_once():
    sizes = [len(tflite.serialize(quantized(Recurrent("gru"), (steps, 6), samples=4)[1])) for steps in (4, 5)]
    weights = 3 * 12 * 12
    _, graph, _ = quantized(Recurrent("gru"), (5, 6), samples=4)
    step = [op for op in graph.operators if isinstance(op, Linear) and op.shares]
    assert len(step) == 6
    for op in step:
        owner = next(other for other in graph.operators if other.name == op.shares)
        np.testing.assert_array_equal(op.weight, owner.weight)
        np.testing.assert_array_equal(op.bias, owner.bias)
        assert graph.quantization(op.inputs[0]) == graph.quantization(owner.inputs[0])
    data = bytes(tflite.serialize(graph))
    for op in (step[0], step[1]):
        assert data.count(op.weight.tobytes()) == 1
    assert sizes[1] > sizes[0] > weights


def test_a_shared_layer_is_trained_as_one():
    simulation = Simulation(capture(Recurrent("gru"), (5, 6)))
    x = torch.randn(8, 5, 6)
    simulation.calibrate([x])
    simulation.fake_quantized = True
    simulation(x).square().sum().backward()
    assert cost.parameters(simulation.graph) == sum(p.numel() for p in simulation.parameters())
    for op in simulation.graph.operators:
        if isinstance(op, Linear) and op.shares:
            owner = next(other for other in simulation.graph.operators if other.name == op.shares)
            assert simulation.parameters_of(op)[0] is simulation.parameters_of(owner)[0]
    assert all(p.grad is not None for p in simulation.parameters())


class Refused(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        self.cell = nn.GRU(6, 12, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0]


class GivenState(Refused):
    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x, torch.ones(1, len(x), 12))[0]


class StateTurned(Refused):
    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[1].transpose(0, 1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Refused(), "batch_first"),
        (Refused(batch_first=True, bidirectional=True), "bidirectional"),
        (GivenState(batch_first=True), "first state is not zero"),
        (StateTurned(batch_first=True), r"h\[-1\]"),
    ],
)
def test_what_can_not_be_unrolled_is_refused_with_the_reason(model, reason):
    with pytest.raises(UnsupportedOperatorError, match=reason) as caught:
        capture(model, (5, 6))
    assert "cell (gru, test_recurrent.py" in str(caught.value)


class LastState(Refused):
    def forward(self, x: Tensor) -> Tensor:
        _, state = self.cell(x)
        return state[-1] + 2 * state.squeeze(0)


def test_the_last_state_can_be_read_as_torch_gives_it():
    model = LastState(batch_first=True).eval()
    x = torch.randn(3, 5, 6)
    torch.testing.assert_close(Simulation(capture(model, (5, 6)))(x), model(x), atol=1e-5, rtol=1e-4)
