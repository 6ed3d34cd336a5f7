"""The simulation computes the same codes as the integer reference and can be trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import Everything, Perceptron, lived_in, quantized
from torch import nn

from edgekd.graph import reference
from edgekd.graph.capture import capture
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.operators.weighted_training import BIAS_CODES, weight_scale
from edgekd.graph.structure import Quantization
from edgekd.quantization.simulate import Simulation, from_range, scale_owners


@pytest.mark.parametrize("kernels", ["xnnpack", "onnxruntime"])
@pytest.mark.parametrize(("model", "shape"), [(Everything(), (3, 16, 16)), (Perceptron(), (3, 4, 4))])
def test_the_trained_codes_are_the_integer_references(model: nn.Module, shape: tuple[int, ...], kernels: str) -> None:
    simulation, graph, (codes,) = quantized(lived_in(model, shape), shape, kernels=kernels)
    x = torch.from_numpy(dequantize(codes, graph.quantization(graph.input)))
    codes_by_tensor = simulation.trace_codes(x)
    for name, expected in reference.trace(graph, codes, kernels=kernels):
        assert expected.std() > 0
        assert np.array_equal(codes_by_tensor[name].detach().numpy(), expected), name


def test_in_float_it_is_the_model() -> None:
    model = lived_in(Everything(), (3, 16, 16))
    x = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(Simulation(capture(model, (3, 16, 16)))(x), model(x), rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_weight_and_training_lowers_the_loss() -> None:
    simulation, _, _ = quantized(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    x, y = torch.randn(64, 3, 16, 16), torch.randint(0, 10, (64,))
    optimizer = torch.optim.Adam(simulation.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = nn.functional.cross_entropy(simulation(x), y)
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in simulation.parameters())
    assert losses[-1] < 0.7 * losses[0]


def test_the_gradient_is_that_of_the_float_network_but_for_rounding() -> None:
    model = lived_in(Perceptron(), (3, 4, 4))
    simulation, _, _ = quantized(model, (3, 4, 4))
    x = torch.randn(32, 3, 4, 4) * 0.5
    gradients = []
    for fake in (True, False):
        simulation.fake_quantized = fake
        simulation.zero_grad()
        simulation(x).pow(2).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in simulation.parameters() if p.grad is not None]))
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.98


def test_ranges_follow_the_activations_only_while_observing_in_training() -> None:
    simulation, _, _ = quantized(lived_in(Perceptron(), (3, 4, 4)), (3, 4, 4))
    x, before = torch.randn(8, 3, 4, 4) * 10, simulation.highs.clone()
    simulation.train()(x)
    assert torch.equal(simulation.highs, before)
    simulation.observing = True
    simulation.eval()(x)
    assert torch.equal(simulation.highs, before)
    simulation.train()(x)
    assert bool((simulation.highs > before).all())


def test_operators_that_can_not_rescale_share_their_inputs_scale() -> None:
    graph = capture(Everything(), (3, 16, 16))
    owners = scale_owners(graph)
    for op in graph.operators:
        if type(op).__name__ in ("Slice", "Pad", "MaxPool2d", "AveragePool2d", "Reshape"):
            assert owners[op.output] == owners[op.inputs[0]]
        else:
            assert owners[op.output] == op.output


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_every_range_holds_zero_exactly_and_its_ends_within_a_step(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    q = from_range(low, high)
    assert -128 <= q.zero_point <= 127
    assert q.scale > 0
    assert np.float32(q.scale) == q.scale
    assert (-128 - q.zero_point) * q.scale <= min(low, 0) + q.scale
    assert (127 - q.zero_point) * q.scale >= max(high, 0) - q.scale


@settings(max_examples=50)
@given(st.floats(0, 1e3), st.floats(-1e5, 1e5), st.floats(1e-4, 10))
def test_biases_stay_within_their_codes_whatever_the_weights(largest: float, bias: float, input_scale: float) -> None:
    weight, biases = torch.full((1, 4), largest), torch.tensor([bias])
    scale = weight_scale(weight, biases, Quantization(input_scale, 0))
    assert float((biases / (scale * input_scale)).abs()) <= BIAS_CODES[8] * 1.001 or float(scale) == pytest.approx(1e-9)
    assert float((weight / scale).max()) <= 127.001


def test_a_channel_of_zero_weights_still_gives_its_bias() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.5]]))
        model[0].bias.copy_(torch.tensor([2.0, 0.0]))
    _, graph, (codes,) = quantized(model, (3,))
    values = dequantize(reference.run(graph, codes), graph.quantization(graph.output))
    assert np.abs(values[:, 0] - 2.0).max() <= graph.quantization(graph.output).scale


def test_the_int8_graph_holds_integers_alone() -> None:
    _, graph, _ = quantized(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))
    assert graph.quantized
    for op in graph.weighted():
        assert (op.weight.dtype, op.bias.dtype) == (np.int8, np.int32)
        assert op.weight.min() >= -127
        assert op.weight_scale is not None
        assert op.weight_scale.shape == (len(op.weight),)
    assert all(tensor.quantization is not None for tensor in graph.tensors.values())


def test_a_float_graph_has_no_quantization_to_ask_for() -> None:
    graph = capture(Perceptron(), (3, 4, 4))
    with pytest.raises(ValueError, match="no quantization"):
        graph.quantization("input")
    assert not replace(graph).quantized
