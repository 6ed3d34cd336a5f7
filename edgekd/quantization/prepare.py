"""Prepares a float graph for quantisation: raw inputs, equalised channels, and layers in float or with 16 bits."""

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgekd.errors import ConfigError
from edgekd.graph.structure import Graph
from edgekd.quantization.equalise import equalised, pairs
from edgekd.quantization.inputs import Normalisation, View, fold
from edgekd.quantization.int16 import with_int16_layers
from edgekd.quantization.islands import with_islands

SUGGESTIONS = 3


@dataclass(frozen=True)
class Prepared:
    """A float graph that is ready for a simulation.

    Attributes:
        graph: the graph after all passes.
        in_front: the operator that was inserted after the input to normalise it; "" where the first layers do.
        border: the largest error of zero padding after folding, in standard deviations.
        equalised_pairs: the number of pairs of layers whose channels were equalised.
        float_layers, int16_layers: the names of the operators in float, and of those with 16-bit activations.
    """

    graph: Graph
    in_front: str
    border: float
    equalised_pairs: int
    float_layers: tuple[str, ...]
    int16_layers: tuple[str, ...]


def prepared(
    graph: Graph,
    normalisation: Normalisation,
    view: View | None = None,
    *,
    equalise: bool = False,
    float_layers: Sequence[str] = (),
    int16_layers: Sequence[str] = (),
) -> Prepared:
    """A captured graph after the passes that the settings ask for; with a view its input is raw values.

    Raises:
        ConfigError: a pattern of `float_layers` or `int16_layers` matches no operator of the graph.
        UnsupportedOperatorError: one of `int16_layers` has no kernel for 16-bit activations.
    """
    in_float = matching_operators(graph, float_layers)
    with_16_bits = matching_operators(graph, int16_layers, "int16_layers")
    in_front, border, count = "", 0.0, 0
    if view is not None:
        graph, in_front, border = fold(graph, normalisation, view)
    if equalise:
        count, graph = len(pairs(graph)), equalised(graph)
    graph = with_int16_layers(with_islands(graph, in_float), with_16_bits)
    return Prepared(graph, in_front, border, count, in_float, with_16_bits)


def without_boundaries(graph: Graph) -> Graph:
    """A prepared graph without the boundaries of layers in float or with 16 bits, which do nothing in a float graph."""
    same: dict[str, str] = {}
    operators = []
    for op in graph.operators:
        inputs = tuple(same.get(name, name) for name in op.inputs)
        if op.boundary:
            same[op.output] = inputs[0]
        else:
            operators.append(replace(op, inputs=inputs))
    outputs = tuple(same.get(name, name) for name in graph.outputs)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in same}
    return replace(graph, tensors=tensors, operators=tuple(operators), outputs=outputs)


def matching_operators(graph: Graph, patterns: Sequence[str], setting: str = "float_layers") -> tuple[str, ...]:
    """The operators that the patterns match (* and ? stand for any characters), in order of execution."""
    names = [op.name for op in graph.operators]
    matches: set[str] = set()
    for pattern in patterns:
        of_pattern = [name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not of_pattern:
            close = difflib.get_close_matches(pattern.rstrip("*."), names, SUGGESTIONS, 0.4) or names[:SUGGESTIONS]
            raise ConfigError(
                f"quantize.{setting}: no operator of the student is called {pattern!r}",
                f"{', '.join(close)}; edgekd check --layers lists all {len(names)}",
            )
        matches.update(of_pattern)
    return tuple(name for name in names if name in matches)
