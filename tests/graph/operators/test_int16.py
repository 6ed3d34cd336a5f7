"""Tests that layers with 16-bit activations are exact in every runtime with kernels for them, and finer than 8 bits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.networks import lived_in
from support.parity import RUNTIMES, assert_same
from torch import Tensor, nn

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats import onnx
from edgekd.graph import reference
from edgekd.graph.capture import capture
from edgekd.graph.operators.arithmetic import dequantize, fixed_point, quantize, round_in_16_bits
from edgekd.graph.ops import Requantize
from edgekd.graph.structure import Graph
from edgekd.quantization.int16 import with_int16_layers
from edgekd.quantization.scales import from_range
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes import parity

TFLITE = {name: runtime for name, runtime in RUNTIMES.items() if runtime.format == "tflite"}


class Everything(nn.Module):
    """A network of every operator with kernels for 16-bit activations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=(0, 1), groups=8)
        self.grouped = nn.Conv2d(8, 8, 1, groups=2)
        self.up, self.gate, self.last = (
            nn.ConvTranspose2d(16, 4, 3, stride=2, padding=1),
            nn.Linear(8, 8),
            nn.Linear(4, 5),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.norm(self.stem(x)))
        y = F.max_pool2d(F.pad(self.depthwise(x), (0, 0, 1, 1)), 3, 2, 1)
        z = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False) - self.grouped(y)
        z = z * F.relu(self.gate(z.mean((2, 3)))).reshape(-1, 8, 1, 1)
        z = F.relu(torch.cat([z, y + z], 1))[:, :, 1:]
        z = self.up(z).permute(0, 2, 3, 1)
        return self.last(z.mean(1)).flatten(1), z.mean((1, 2))


def simulated(graph: Graph, shape: tuple[int, ...], kernels: str) -> tuple[Simulation, Graph, np.ndarray]:
    simulation = Simulation(graph, kernels).eval()
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(6, *shape)).astype(np.float32))
    simulation.calibrate([x])
    simulation.fake_quantized = True
    quantized = simulation.quantized_graph()
    return simulation, quantized, quantize(x.numpy(), quantized.quantization(quantized.input))


@pytest.fixture(scope="module")
def captured() -> Graph:
    return capture(lived_in(Everything(), (3, 9, 8)), (3, 9, 8))


@pytest.mark.parametrize("name", TFLITE)
@pytest.mark.parametrize("every", [1, 2, 3])
def test_layers_of_16_bits_are_exact_among_layers_of_8(captured, name, every):
    wide = with_int16_layers(captured, [op.name for op in captured.operators[::every]])
    kernels = "tflm" if RUNTIMES[name].kernels == "litert-reference" else RUNTIMES[name].kernels
    simulation, graph, codes = simulated(wide, (3, 9, 8), kernels)
    assert {tensor.quantization.bits for tensor in graph.tensors.values()} == {8, 16}
    for row in parity.layers(RUNTIMES[name], graph, (codes,)):
        assert not row.differing, row
    values = dict(reference.trace(graph, codes, kernels=kernels))
    layers = parity.codes_of_operators(graph)
    with torch.no_grad():
        actual = simulation.trace_codes(torch.from_numpy(dequantize(codes, graph.quantization(graph.input))))
    assert_same([actual[n].numpy() for n in layers], [values[n] for n in layers], "simulation", layers)


def test_16_bits_follow_the_float_network_closer_than_8(captured):
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 3, 9, 8)).astype(np.float32))
    errors = []
    for layers in ((), [op.name for op in captured.operators]):
        simulation = simulated(with_int16_layers(captured, layers), (3, 9, 8), "xnnpack")[0]
        inner = next(name for name in simulation.graph.tensors if name.startswith("up"))
        codes = simulation.trace_codes(x)[inner] - simulation.quantization(inner).zero_point
        expected = dict(simulation.float_values(x))[inner]
        errors.append(float((codes * simulation.quantization(inner).scale - expected).abs().mean().detach()))
    assert errors[1] < errors[0] / 2


def test_boundaries_stand_only_where_the_width_changes(captured):
    names = [op.name for op in captured.operators]
    wide = with_int16_layers(captured, names)
    boundaries = [op for op in wide.operators if isinstance(op, Requantize)]
    assert len(boundaries) == len(captured.inputs) + len(captured.outputs)
    assert all(wide.tensors[name].bits == 8 for name in (*wide.inputs, *wide.outputs))


def test_an_operator_without_a_16_bit_kernel_is_refused_by_name():
    graph = capture(nn.Sequential(nn.Linear(4, 4), nn.Softmax(1)), (4,))
    with pytest.raises(UnsupportedOperatorError, match=r"layer 1 \(Softmax.*16-bit"):
        with_int16_layers(graph, ["1"])


def test_onnx_refuses_16_bits_by_layer(tmp_path):
    graph = capture(nn.Sequential(nn.Linear(4, 4)), (4,))
    quantized = simulated(with_int16_layers(graph, ["0"]), (4,), "xnnpack")[1]
    with pytest.raises(UnsupportedOperatorError, match="16-bit codes"):
        onnx.write(quantized, tmp_path / "g.onnx")


def test_a_range_of_16_bits_is_symmetric():
    q = from_range(-1.0, 2.0, bits=16)
    assert (q.zero_point, q.lowest, q.highest) == (0, -32768, 32767)
    assert q.scale == pytest.approx(2 / 32767)


def test_the_ratio_of_a_wide_layer_keeps_16_bits_of_its_mantissa_by_hand():
    # 0.5 + 2^-17 is 0x4000... and a bit that 16 bits can't hold: 3 * 0.5 = 1.5 -> 2, -3 * 0.5 -> -1 (half up).
    mantissa, exponent = fixed_point(np.asarray(0.5 + 2.0**-17))
    assert round_in_16_bits(np.array([3, -3, 2**40]), mantissa, exponent).tolist() == [2, -1, 2**39]
