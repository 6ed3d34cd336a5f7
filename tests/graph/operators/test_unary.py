"""Tests that every table of a function of one value equals that of the runtime's kernel, code by code."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.networks import lived_in, quantized
from support.parity import RUNTIMES, assert_exact
from support.single_operator import CODES, combined_graph, differing, differing_simulation, quantization
from torch import Tensor, nn

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats import onnx, tflite
from edgekd.graph import cost, files, plan
from edgekd.graph.capture import capture
from edgekd.graph.operators import unary_training
from edgekd.graph.operators.unary import FUNCTIONS, OWN, shipped, table
from edgekd.graph.ops import SATURATING, Mul, Unary
from edgekd.graph.structure import Graph, Kernels, Quantization
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.litert import LiteRTRunner
from edgekd.runtimes.onnxruntime import OnnxRuntimeRunner

TABLES = 24


def drawn(function: str, kernels: Kernels, seed: int) -> Graph:
    """Return a graph of many tables of a function, on suitable scales and on others."""
    chance = np.random.default_rng(seed)
    operators_with_scales = []
    for _ in range(TABLES):
        source = quantization(chance, -3, 0.6)
        output = SATURATING.get(function) or quantization(chance, -0.8, 0.6, source.scale)
        alpha = float(np.float32(chance.choice([0.01, 0.1, 0.3, 1.2, -0.2])))
        op = Unary("", (), "", function=function, alpha={"leaky_relu": alpha, "elu": 1.0}.get(function, 0.0))
        operators_with_scales.append((shipped(op, source, output, kernels), (source,), output))
    return combined_graph(operators_with_scales, len(CODES))


@pytest.mark.parametrize("function", sorted({*FUNCTIONS, *unary_training.FUNCTIONS}))
def test_the_table_that_ships_is_of_the_function_that_is_trained(function: str) -> None:
    x = np.linspace(-30, 30, 4001)
    trained = unary_training.FUNCTIONS[function](torch.from_numpy(x), 0.3).numpy()
    np.testing.assert_allclose(FUNCTIONS[function](x, 0.3), trained, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_table_is_the_kernels_for_all_codes(function: str, runtime: str) -> None:
    if (function, runtime) == ("elu", "litert-reference"):
        pytest.skip("LiteRT's reference resolver has no ELU")
    mode = RUNTIMES[runtime].kernels
    graph = drawn(function, "tflm" if mode == "litert-reference" else mode, seed=len(function))
    assert not differing(RUNTIMES[runtime], graph, [CODES[None]] * TABLES)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_graph_is_exact_in_both_formats(function: str) -> None:
    for runtime, trained_to in (("onnxruntime", "xnnpack"), ("onnxruntime", "tflm"), ("litert", "onnxruntime")):
        graph = drawn(function, trained_to, seed=2)  # type: ignore[arg-type]
        assert not differing(RUNTIMES[runtime], graph, [CODES[None]] * TABLES)


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "onnxruntime"])
@pytest.mark.parametrize("real", [False, True])
def test_a_hard_swish_is_exact_by_the_integer_kernel_and_on_real_values(real: bool, runtime: str) -> None:
    drawn_ones = drawn("hard_swish", "tflm", seed=1)
    graph = replace(drawn_ones, operators=tuple(replace(op, real=real) for op in drawn_ones.operators))
    assert not differing(RUNTIMES[runtime], graph, [CODES[None]] * TABLES)


@pytest.mark.parametrize("kernels", ["xnnpack", "tflm", "onnxruntime"])
def test_training_looks_up_the_same_tables(kernels: Kernels) -> None:
    for function in FUNCTIONS:
        assert not differing_simulation(kernels, drawn(function, kernels, seed=7), [CODES[None]] * TABLES)


@pytest.mark.parametrize(
    ("function", "runtime", "source", "output"),
    [
        ("hard_swish", "tflite-micro", (0.004338971804827452, 0), (0.0009462227462790906, -128)),
        ("elu", "tflite-micro", (0.0010439088800922036, 127), (0.0038303621113300323, 13)),
        ("gelu", "litert", (0.125, 0), (0.25, 14)),
        ("gelu_tanh", "litert", (0.5, -128), (2.0, -128)),
        ("tanh", "litert", (0.015194975771009922, -128), (1 / 128, 0)),
        ("sigmoid", "litert-reference", (0.00390625, 0), (1 / 256, -128)),
        ("sigmoid", "tflite-micro", (16.0, -3), (1 / 256, -128)),
        ("leaky_relu", "litert", (0.01, 4), (0.03, -4)),
        ("leaky_relu", "litert-reference", (0.0011258170707151294, 92), (0.0008458312368020415, 127)),
    ],
)
def test_scales_that_once_told_two_roundings_apart(
    function: str, runtime: str, source: tuple[float, int], output: tuple[float, int]
) -> None:
    if runtime not in RUNTIMES:
        pytest.skip(f"{runtime} is not installed")
    op = Unary("", (), "", function=function, alpha={"leaky_relu": 0.1, "elu": 1.0}.get(function, 0.0))
    graph = combined_graph([(op, (Quantization(*source),), Quantization(*output))], len(CODES))
    assert not differing(RUNTIMES[runtime], graph, [CODES[None]])


def test_the_middle_of_a_sigmoid_is_one_half() -> None:
    actual = table(Unary("", (), "", function="sigmoid"), Quantization(0.1, 0), SATURATING["sigmoid"], "xnnpack")
    assert (actual[0], actual[128], actual[255]) == (-128, 0, 127)
    assert (np.diff(actual.astype(int)) >= 0).all()


def test_leaky_relu_has_eight_bits_after_the_point_in_xnnpack() -> None:
    op, one = Unary("", (), "", function="leaky_relu", alpha=0.1), Quantization(1.0, 0)
    tables = [table(op, one, one, kernels) for kernels in ("xnnpack", "tflm", "onnxruntime")]
    # 0.1 becomes 26 / 256: -35 goes to -3.55, not -3.5, which is -4 away from zero, and the even -4 too.
    assert [int(actual[-35 + 128]) for actual in tables] == [-4, -4, -4]
    # -45 goes to -4.57, not -4.5: that is -5 away from zero and -4 to even.
    assert [int(actual[-45 + 128]) for actual in tables] == [-5, -5, -4]
    # -74 goes to -7.52, not -7.4.
    assert [int(actual[-74 + 128]) for actual in tables] == [-8, -7, -7]


class Activated(nn.Module):
    """A module that returns several functions of its input and their sum."""

    def __init__(self, *functions: nn.Module) -> None:
        super().__init__()
        self.first, self.functions, self.last = nn.Conv2d(3, 6, 3), nn.ModuleList(functions), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(sum(function(x) for function in self.functions).mean((2, 3)))


SMOOTH = (nn.Sigmoid(), nn.Tanh(), nn.Hardswish(), nn.SiLU(), nn.GELU(), nn.GELU(approximate="tanh"))
BENT = (nn.LeakyReLU(0.1), nn.Softplus(), nn.Mish(), nn.PReLU(6), nn.PReLU(), nn.Hardsigmoid(), nn.ELU())


@pytest.mark.parametrize("functions", [SMOOTH, BENT[:-1]])
def test_a_network_of_them_is_exact(functions: tuple[nn.Module, ...]) -> None:
    assert_exact(lived_in(Activated(*functions), (3, 7, 5)), (3, 7, 5), samples=8)


@pytest.mark.parametrize("functions", [SMOOTH, BENT])
def test_float_files_compute_them_too(functions: tuple[nn.Module, ...], tmp_path: Path) -> None:
    model, x = lived_in(Activated(*functions), (3, 7, 5)), torch.randn(4, 3, 7, 5)
    graph, expected = capture(model, (3, 7, 5)), model(x).detach().numpy()
    actual = LiteRTRunner(tflite.write(graph, tmp_path / "f.tflite")).run(np.moveaxis(x.numpy(), 1, -1).copy())
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)
    actual = OnnxRuntimeRunner(onnx.write(graph, tmp_path / "f.onnx")).run(x.numpy())
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


def test_silu_is_its_input_times_a_sigmoid_on_the_scale_that_tflite_demands() -> None:
    graph = capture(Activated(nn.SiLU()), (3, 7, 5))
    gate, product = (next(op for op in graph.operators if isinstance(op, kind)) for kind in (Unary, Mul))
    assert gate.function == "sigmoid" and product.inputs == (*gate.inputs, gate.output)
    assert Simulation(graph).quantization(gate.output) == Quantization(1 / 256, -128)


def test_a_hard_sigmoid_goes_into_the_convolution_before_it() -> None:
    graph = capture(Activated(nn.Hardsigmoid()), (3, 7, 5))
    first, constant, product = graph.operators[:3]
    assert first.activation == "relu6"  # of x + 3
    assert isinstance(product, Mul) and constant.value.ravel().tolist() == [np.float32(1 / 6)]


def test_a_table_ships_where_the_kernels_have_no_such_function(tmp_path: Path) -> None:
    source, output = Quantization(0.05, 3), Quantization(0.04, -120)
    op = Unary("y", ("x",), "y", function="mish")
    op = shipped(op, source, output, "xnnpack")
    graph = combined_graph([(op, (source,), output)], 256)
    files.save(graph, tmp_path / "graph")
    loaded = files.load(tmp_path / "graph")
    assert np.array_equal(loaded.operators[0].table, op.table)
    gelus = [shipped(Unary("", (), "", function="gelu"), source, output, kernels) for kernels in OWN]
    assert [gelu.table is not None for gelu in gelus] == [False, True, False]  # as OWN: XNNPACK, TFLM, onnxruntime


def test_a_stretched_elu_has_no_float_operator_in_tflite() -> None:
    with pytest.raises(
        UnsupportedOperatorError, match=r"functions.0 \(elu, test_unary.py:\d+\): TFLite has it for alpha"
    ):
        tflite.serialize(capture(Activated(nn.ELU(0.5)), (3, 7, 5)))


def test_the_gradient_of_a_table_is_the_functions() -> None:
    simulation, _, _ = quantized(lived_in(Activated(nn.Hardswish()), (3, 7, 5)), (3, 7, 5))
    x, gradients = torch.randn(16, 3, 7, 5) * 0.5, []
    for fake in (True, False):
        simulation.fake_quantized = fake
        simulation.zero_grad()
        simulation(x).pow(2).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in simulation.parameters() if p.grad is not None]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.98


def test_a_shipped_table_needs_room_for_its_rows() -> None:
    source, output = Quantization(0.05, 3), Quantization(0.04, -120)
    own = combined_graph([(Unary("", (), "", function="gelu"), (source,), output)], 64)
    stored = replace(own, operators=tuple(shipped(op, source, output, "tflm") for op in own.operators))
    assert plan.peak_ram_bytes(own) == 128
    assert plan.peak_ram_bytes(stored) == 128 + 2 * 4 * 64
    assert cost.describe(stored.operators[0]) == "gelu"
