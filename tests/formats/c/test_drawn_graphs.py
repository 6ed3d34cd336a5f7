"""Random graphs in C equal the reference in every layer and both roundings, without errors of the sanitizers."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from support.c_networks import ROUNDINGS
from support.c_programs import run_strictly
from support.random_graphs import Drawn, drawn_int8
from support.random_operators import STROKES, graphs

from edgekd.errors import UnsupportedOperatorError
from edgekd.graph import reference
from edgekd.graph.structure import Kernels
from edgekd.runtimes.parity import codes_of_operators

QUICK = settings(
    max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
"""Settings for each of the themes in the quick run."""
LONG = settings(QUICK, max_examples=75, derandomize=False, print_blob=True)


def compare(random_graph: Drawn, kernels: Kernels, counts: Counter[str]) -> None:
    """Compare a graph's outputs and each of its layers with the reference, and count the result."""
    _, graph, codes = drawn_int8(random_graph, kernels)
    layers = codes_of_operators(graph)
    assume(layers)
    expected = dict(reference.trace(graph, *codes, kernels=kernels))
    with tempfile.TemporaryDirectory() as folder:
        for outputs in (graph.outputs, layers):
            part = graph.until(*outputs)
            feeds = [values for name, values in zip(graph.inputs, codes, strict=True) if name in part.inputs]
            try:
                answers = run_strictly(part, feeds, kernels, Path(folder))
            except UnsupportedOperatorError:
                counts["refused"] += 1
                return
            for layer, answer in zip(outputs, answers, strict=True):
                assert np.array_equal(answer, np.broadcast_to(expected[layer], answer.shape)), (kernels, layer)
    counts["compared"] += 1
    varies = any((expected[name] != expected[name][:1]).any() for name in graph.outputs)
    counts["varying"] += varies


def draw_and_compare(theme: str, example_settings: settings) -> None:
    """Compare random graphs of a theme; most outputs must depend on the input, and few graphs may be refused."""
    counts: Counter[str] = Counter()

    @example_settings
    @given(graphs(theme))
    def compare_one(random_graph: Drawn) -> None:
        for kernels in ROUNDINGS:
            compare(random_graph, kernels, counts)

    compare_one()
    assert counts["compared"] >= 2 * example_settings.max_examples
    assert counts["varying"] >= 0.5 * counts["compared"], "constant networks pass any parity test"
    assert counts["refused"] < 0.2 * counts["compared"]


@pytest.mark.parametrize("theme", STROKES)
def test_drawn_graphs_are_bit_exact_and_clean(theme: str) -> None:
    draw_and_compare(theme, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("theme", STROKES)
def test_hundreds_of_drawn_graphs_are_bit_exact_and_clean(theme: str) -> None:
    draw_and_compare(theme, LONG)
