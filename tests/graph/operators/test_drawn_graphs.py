"""Tests that each tensor of randomly drawn graphs is the same in every runtime and in the simulation.

`make long` draws thousands more, which differ in each run.
"""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from support.parity import RUNTIMES
from support.random_graphs import Drawn, drawn_int8
from support.random_operators import STROKES, graphs

from edgekd.catalog.runtimes import Runtime
from edgekd.errors import UnsupportedOperatorError
from edgekd.graph import reference
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.ops import Unary
from edgekd.graph.structure import Array, Graph, Kernels
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes import parity

QUICK = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LONG = settings(QUICK, max_examples=300, derandomize=False, print_blob=True)


class Counts:
    """The number of drawn graphs whose outputs vary with the inputs, and of files that were run or refused."""

    def __init__(self) -> None:
        self.graphs = self.files = self.refused = 0


def compare(drawn: Drawn, counts: Counts) -> None:
    """Compare the simulation, and each runtime, with the reference in the same mode layer by layer."""
    for kernels in ("xnnpack", "onnxruntime", "tflm"):
        runtimes = {name: runtime for name, runtime in RUNTIMES.items() if _trained_to(runtime) == kernels}
        if not runtimes:
            continue
        simulation, graph, codes = drawn_int8(drawn, kernels)
        values = dict(reference.trace(graph, *codes, kernels=kernels))
        assert_none_differ(f"simulation of {kernels}", graph, values, _simulated(simulation, graph, codes))
        for name, runtime in runtimes.items():
            if name == "litert-reference" and _has_elu(graph):
                continue  # LiteRT's reference kernels have none
            try:
                outputs = parity.run_graph(runtime, graph, codes)
                rows = parity.layers(runtime, graph, codes)
            except UnsupportedOperatorError:
                counts.refused += 1
                continue
            counts.files += 1
            expected = dict(reference.trace(graph, *codes, kernels=runtime.kernels))
            assert_none_differ(name, graph, expected, dict(zip(graph.outputs, outputs, strict=True)))
            off = [row for row in rows if row.differing]
            assert not off, f"{name}: {off}"
    # A graph whose ranges cut its answers off was compared like any other, but another one is drawn in its place.
    assume(any((values[name] != values[name][:1]).any() for name in graph.outputs))
    counts.graphs += 1


def _has_elu(graph: Graph) -> bool:
    return any(isinstance(op, Unary) and op.function == "elu" and op.table is None for op in graph.operators)


def _trained_to(runtime: Runtime) -> Kernels:
    return "tflm" if runtime.kernels == "litert-reference" else runtime.kernels


def _simulated(simulation: Simulation, graph: Graph, codes: tuple[Array, ...]) -> dict[str, Array]:
    inputs = (
        torch.from_numpy(dequantize(c, graph.quantization(name)) if graph.tensors[name].quantization else c)
        for c, name in zip(codes, graph.inputs, strict=True)
    )
    with torch.no_grad():
        actual = simulation.trace_codes(*inputs)
    return {layer: actual[layer].numpy() for layer in parity.codes_of_operators(graph)}


def assert_none_differ(who: str, graph: Graph, expected: dict[str, Array], actual: dict[str, Array]) -> None:
    rows = [row for row in parity.differences(graph, expected, actual) if row.differing]
    assert not rows, f"{who}: {rows}"


def draw_and_compare(theme: str, how: settings) -> None:
    """Compare drawn graphs of a theme; check that enough are no constant networks, and that runtimes refuse few."""
    seen = Counts()

    @how
    @given(graphs(theme))
    def each(drawn: Drawn) -> None:
        compare(drawn, seen)

    each()
    assert seen.graphs >= how.max_examples, "constant networks pass any parity test"
    assert seen.refused < 0.2 * seen.files


@pytest.mark.parametrize("theme", STROKES)
def test_drawn_graphs_are_bit_exact_in_every_runtime(theme: str) -> None:
    draw_and_compare(theme, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("theme", STROKES)
def test_thousands_of_drawn_graphs_are_bit_exact_in_every_runtime(theme: str) -> None:
    draw_and_compare(theme, LONG)
