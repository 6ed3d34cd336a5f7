"""Sensitivity analysis identifies the layer whose rounding hurts most."""

import pytest
import torch
from torch import nn

from edgekd.graph.capture import capture
from edgekd.quantization.islands import with_islands
from edgekd.quantization.sensitivity import MOST_DB, sensitivity
from edgekd.quantization.simulate import Simulation


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)).eval()


def test_a_layer_with_an_outlier_in_its_range_is_the_most_sensitive() -> None:
    graph, x = capture(network(), (8,)), torch.randn(64, 8)
    simulation = Simulation(graph)
    simulation.calibrate([x])
    middle = list(graph.weighted())[1]
    simulation.highs[simulation.range_index[middle.output]] *= 100
    rows = sensitivity(simulation, [x[:32], x[32:]])
    assert [row.layer for row in rows] == ["input", *(op.name for op in graph.weighted())]
    assert min(rows, key=lambda row: row.sqnr_db).layer == middle.name
    assert rows[0].operator == "input"
    assert rows[1].operator == "linear + relu"


def test_it_is_the_ratio_of_two_powers() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(127.0)  # its code is 127: the weight is exact, the output's rounding is not
    graph = capture(nn.Sequential(layer), (1,))
    simulation = Simulation(graph)
    simulation.calibrate([torch.tensor([[0.0], [255.0 / 127]])])  # the output's step is 1
    [row_in, row] = sensitivity(simulation, [torch.tensor([[10.25 / 127]])])
    assert row.sqnr_db == pytest.approx(10 * torch.log10(torch.tensor(10.25**2 / 0.25**2)).item(), abs=0.05)
    assert row_in.layer == "input"


def test_layers_in_float_make_no_noise_and_have_no_row() -> None:
    graph = capture(network(), (8,))
    inside = list(graph.weighted())[1].name
    simulation = Simulation(with_islands(graph, [inside]))
    simulation.calibrate([torch.randn(64, 8)])
    rows = sensitivity(simulation, [torch.randn(16, 8)])
    assert inside not in {row.layer for row in rows}
    assert all(0 < row.sqnr_db < MOST_DB for row in rows)


def test_the_simulation_is_left_as_it_was() -> None:
    simulation = Simulation(capture(network(), (8,)))
    simulation.calibrate([torch.randn(64, 8)])
    before = {name: value.clone() for name, value in simulation.state_dict().items()}
    sensitivity(simulation, [torch.randn(16, 8)])
    assert all(torch.equal(value, before[name]) for name, value in simulation.state_dict().items())
