"""What is done to a float graph before it is quantised: input as the sensor gives it, equal channels, float layers."""

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

SUGGESTED = 3


@dataclass(frozen=True)
class Prepared:
    """Attributes:
    graph: in float, ready for a simulation.
    in_front: the operator that was put in front of the network to normalise; "" where its first layers do.
    border: how far padding is from what it stood for in training, in standard deviations.
    equalised_pairs: of layers, whose channels were made equally strong.
    float_layers, int16_layers: operators kept in float, and those with 16-bit activations, by name.
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
    """A captured graph with the passes that its settings ask for; with a view it takes inputs as that has them.

    Raises:
        ConfigError: `float_layers` or `int16_layers` names what is no operator of the graph.
        UnsupportedOperatorError: one of `int16_layers` has no kernel for 16-bit activations.
    """
    kept, wide = matching_operators(graph, float_layers), matching_operators(graph, int16_layers, "int16_layers")
    in_front, border, count = "", 0.0, 0
    if view is not None:
        graph, in_front, border = fold(graph, normalisation, view)
    if equalise:
        count, graph = len(pairs(graph)), equalised(graph)
    graph = with_int16_layers(with_islands(graph, kept), wide)
    return Prepared(graph, in_front, border, count, kept, wide)


def without_boundaries(graph: Graph) -> Graph:
    """A prepared graph without the boundaries of float and of wide layers, which say nothing where all is float."""
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
    """The operators that the patterns name (* and ? stand for any characters), in order of execution."""
    names = [op.name for op in graph.operators]
    found: set[str] = set()
    for pattern in patterns:
        matching = [name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            close = difflib.get_close_matches(pattern.rstrip("*."), names, SUGGESTED, 0.4) or names[:SUGGESTED]
            raise ConfigError(
                f"quantize.{setting}: no operator of the student is called {pattern!r}",
                f"{', '.join(close)}; edgekd check --layers lists all {len(names)}",
            )
        found.update(matching)
    return tuple(name for name in names if name in found)
