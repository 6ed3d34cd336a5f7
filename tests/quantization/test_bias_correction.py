"""Bias correction removes the mean error of each channel and changes nothing else."""

from dataclasses import replace

import torch
from support.networks import Everything, lived_in
from torch import Tensor, nn

from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph
from edgekd.quantization.bias_correction import MEMORY_BYTES, affordable, correct_biases
from edgekd.quantization.islands import with_islands
from edgekd.quantization.simulate import Simulation


def calibrated(graph: Graph, x: Tensor) -> Simulation:
    simulation = Simulation(graph).eval()
    simulation.calibrate([x])
    simulation.fake_quantized = True
    return simulation


def test_one_layer_by_hand() -> None:
    layer = nn.Linear(1, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [0.5]]))
        layer.bias.copy_(torch.tensor([0.0, 1.0]))
    x = torch.tensor([[0.0], [1.004], [2.55]])  # the input's step is 0.01: 1.004 becomes 1.00
    simulation = calibrated(capture(nn.Sequential(layer), (1,)), x)
    correct_biases(simulation, [x])
    # the inputs are 0.004 too low once in three, times each weight
    expected = torch.tensor([0.004 / 3, 1 + 0.5 * 0.004 / 3])
    torch.testing.assert_close(simulation.trained[1].detach(), expected, rtol=0, atol=1e-4)


def test_the_mean_error_of_the_answers_shrinks_whatever_the_batches() -> None:
    graph = capture(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    torch.manual_seed(1)
    x = torch.randn(96, 3, 16, 16).abs()
    simulation = calibrated(graph, x)
    with torch.no_grad():
        expected_logits = Simulation(graph)(x)
        before = (simulation(x) - expected_logits).mean(0)
        corrected = correct_biases(simulation, [x[:64], x[64:]])
        after = (simulation(x) - expected_logits).mean(0)
    assert float(after.abs().mean()) < 0.5 * float(before.abs().mean())
    assert set(corrected) == {op.name for op in graph.weighted()}
    assert all(0 <= share < 0.2 for share in corrected.values())


def test_ranges_and_weights_stay() -> None:
    graph = capture(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (4,))
    x = torch.randn(32, 4)
    simulation = calibrated(graph, x)
    before = {name: value.clone() for name, value in simulation.state_dict().items()}
    correct_biases(simulation, [x])
    changed_names = {name for name, value in simulation.state_dict().items() if not torch.equal(value, before[name])}
    assert changed_names == {"trained.1", "trained.3"}


def test_layers_in_float_and_layers_with_shared_parameters_are_left_alone() -> None:
    graph = capture(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), (4,))
    first, second, third = (op.name for op in graph.weighted())
    graph = with_islands(graph, [second])
    x = torch.randn(32, 4)
    assert set(correct_biases(calibrated(graph, x), [x])) == {first, third}
    ops = tuple(replace(op, shares=first) if op.name == second else op for op in graph.operators)
    assert set(correct_biases(calibrated(replace(graph, operators=ops), x), [x])) == {third}


def test_a_large_network_is_given_fewer_samples() -> None:
    small = Simulation(capture(nn.Sequential(nn.Linear(4, 2)), (4,)))
    large = Simulation(capture(nn.Sequential(nn.Conv2d(3, 32, 1), nn.Conv2d(32, 8, 1)), (3, 128, 128)))
    assert affordable(large) < 128 < affordable(small)
    each = 2 * 4 * (32 + 8) * 128 * 128  # the widest moment, in float32, as real values and as codes
    assert affordable(large) * each <= MEMORY_BYTES
