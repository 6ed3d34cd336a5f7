"""Graphs that nobody thought of, in C: in both roundings, every layer, under sanitizers, without a finding."""

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
"""Of each of the themes, of which there are seven."""
LONG = settings(QUICK, max_examples=75, derandomize=False, print_blob=True)


def compare(drawn: Drawn, kernels: Kernels, counts: Counter[str]) -> None:
    """The graph's outputs, and every layer of it, against the reference."""
    _, graph, codes = drawn_int8(drawn, kernels)
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


def draw_and_compare(theme: str, how: settings) -> None:
    """As many graphs as asked for; most of them say different things of different inputs, and few are refused."""
    counts: Counter[str] = Counter()

    @how
    @given(graphs(theme))
    def each(drawn: Drawn) -> None:
        for kernels in ROUNDINGS:
            compare(drawn, kernels, counts)

    each()
    assert counts["compared"] >= 2 * how.max_examples
    assert counts["varying"] >= 0.5 * counts["compared"], "constant networks pass any parity test"
    assert counts["refused"] < 0.2 * counts["compared"]


@pytest.mark.parametrize("theme", STROKES)
def test_drawn_graphs_are_bit_exact_and_clean(theme: str) -> None:
    draw_and_compare(theme, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("theme", STROKES)
def test_hundreds_of_drawn_graphs_are_bit_exact_and_clean(theme: str) -> None:
    draw_and_compare(theme, LONG)
