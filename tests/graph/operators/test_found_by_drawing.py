"""Tests each mismatch that drawn graphs revealed, reduced to a small graph."""

from typing import Any

import numpy as np
import pytest
import torch
from support.networks import quantized
from support.parity import RUNTIMES, assert_exact
from torch import nn

from edgekd.graph import reference
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.ops import LEAST_SOFTMAX_STEP, Mul, Prelu, Softmax
from edgekd.graph.structure import Array, Graph, Operator, Quantization, Tensor
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes import parity

CODES = np.arange(-128, 128).astype(np.int8)


def on_codes(op: Operator, source: Quantization, output: Quantization, shape: tuple[int, ...]) -> Graph:
    """Return a graph of one operator on one tensor."""
    tensors = {name: Tensor(name, shape, q) for name, q in (("x", source), ("y", output))}
    return Graph(("x",), ("y",), tensors, (op,))


def assert_same(graph: Graph, *codes: Array) -> None:
    """Check every layer in every runtime against the reference in that runtime's mode."""
    for name, runtime in RUNTIMES.items():
        off = [row for row in parity.layers(runtime, graph, codes) if row.differing]
        assert not off, f"{name}: {off}"


def test_litert_divides_the_scales_of_a_prelu_in_float32() -> None:
    """Use scales whose quotient is 2.5 in float32 and a little less in float64, so that 21 steps become 53 or 52."""
    op = Prelu("y", ("x",), "y", np.zeros(1, np.int8), slope_scale=0.01)
    source, output = Quantization(0.0007102249655872583, -128), Quantization(0.0002840899978764355, -128)
    graph = on_codes(op, source, output, (1, 16, 16))
    codes = CODES.reshape(1, 1, 16, 16)
    of_21 = [reference.run(graph, codes, kernels=kernels).ravel()[21] for kernels in ("xnnpack", "tflm")]
    assert of_21 == [53 - 128, 52 - 128]
    assert_same(graph, codes)


def test_xnnpack_takes_a_tensor_times_itself_for_a_square() -> None:
    """Use scales by which 51 * 51 steps are 25.499998 output steps as a product, and 25.5 as a square plus offset."""
    source, output = Quantization(0.00027325935661792755, -128), Quantization(7.616409220645437e-06, -128)
    graph = on_codes(Mul("y", ("x", "x"), "y"), source, output, (256,))
    assert reference.run(graph, CODES[None])[0, 51] == -102
    assert_same(graph, CODES[None])


@pytest.mark.parametrize("kernels", ["xnnpack", "tflm", "onnxruntime"])
def test_a_square_is_simulated_as_it_is_computed(kernels: Any) -> None:
    source, output = Quantization(0.00027325935661792755, -128), Quantization(7.616409220645437e-06, -128)
    fixed = {"x": source, "y": output}
    graph = Graph(
        ("x",), ("y",), {n: Tensor(n, (256,), fixed=q) for n, q in fixed.items()}, (Mul("y", ("x", "x"), "y"),)
    )
    simulation = Simulation(graph, kernels).eval()
    simulation.fake_quantized = True
    actual = simulation.trace_codes(torch.from_numpy(dequantize(CODES[None], source)))["y"]
    assert (actual.numpy() == reference.run(simulation.quantized_graph(), CODES[None], kernels=kernels)).all()


class Still(nn.Module):
    """Constant tensors before every kind of operator that rescales."""

    def __init__(self) -> None:
        super().__init__()
        self.dead, self.silent = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4, 4)
        for layer in (self.dead, self.silent):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.swish, self.slope = nn.Hardswish(), nn.PReLU(4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        still = self.dead(x)
        flat = self.silent(still.mean((2, 3)))
        zero = x - x
        return (
            still + still,
            self.slope(still) * still,
            self.swish(zero),
            zero.mean((2, 3)) - x.mean((2, 3)),
            torch.cat([still, zero], 1),
            flat.softmax(-1),
        )


def test_what_never_stirs_keeps_scales_that_kernels_take() -> None:
    """Check empty ranges, whose scales LiteRT refused, onnxruntime failed on, and TFLite Micro aborted on."""
    assert_exact(Still(), (2, 5, 5), samples=4, varies=False)


def test_softmaxes_that_share_an_input_each_get_the_steps_they_need() -> None:
    """Check two softmaxes of one input: the smaller beta needs coarser steps, without which TFLite Micro aborts."""
    operators = tuple(Softmax(f"y{beta}", ("x",), f"y{beta}", beta=beta) for beta in (0.1, 1.0))
    names = ("x", *(op.output for op in operators))
    tensors = {name: Tensor(name, (8,)) for name in names}
    simulation = Simulation(Graph(("x",), names[1:], tensors, operators), "tflm").eval()
    simulation.calibrate([torch.zeros(4, 8)])
    simulation.fake_quantized = True
    graph = simulation.quantized_graph()
    assert 0.1 * graph.quantization("x").scale >= LEAST_SOFTMAX_STEP
    assert_same(graph, CODES[:16].reshape(2, 8))


def test_a_layer_norm_narrower_than_a_vector_register_is_simulated() -> None:
    simulation, graph, codes = quantized(nn.LayerNorm(6), (3, 6), kernels="onnxruntime")
    actual = simulation(torch.from_numpy(dequantize(codes[0], graph.quantization(graph.input))))
    expected = reference.run(graph, *codes, kernels="onnxruntime")
    torch.testing.assert_close(actual, torch.from_numpy(dequantize(expected, graph.quantization(graph.output))))
