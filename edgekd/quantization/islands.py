"""Float islands: the operators that compute on real values in a quantised graph, and their boundaries.

Layers in float stand between Dequantize and Quantize. A layer norm is an island by itself: it reads and writes codes,
and its file computes on real values in between, exactly (`graph.operators.normalisation`).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Graph, Operator, Tensor


@dataclass(frozen=True)
class RealPart:
    """The part of a quantised graph that computes on real values.

    Attributes:
        operators: in order of execution.
        boundaries: how many conversions from codes to real values or back there are.
    """

    operators: tuple[Operator, ...]
    boundaries: int


def real_part(graph: Graph) -> RealPart:
    """The islands of a quantised graph, for a report."""
    real = real_tensors(graph)
    boundaries = sum(op.boundary and not real.isdisjoint((*op.inputs, op.output)) for op in graph.operators)
    inside = [op for op in graph.operators if op.output in real and not isinstance(op, Dequantize)]
    alone = [op for op in graph.operators if op.real_inside and op.output not in real]
    names = {op.name for op in (*inside, *alone)}
    return RealPart(tuple(op for op in graph.operators if op.name in names), boundaries + 2 * len(alone))


def with_islands(graph: Graph, layers: Collection[str] = ()) -> Graph:
    """A float graph in which `layers` stand between Dequantize and Quantize.

    Consecutive operators of an island exchange real values. The graph's inputs and outputs stay codes.

    Args:
        layers: the names of the operators that compute in float.
    """
    inside = {op.name for op in graph.operators if op.name in layers}
    tensors, operators = dict(graph.tensors), list[Operator]()
    real: dict[str, str] = {}  # a tensor of codes -> its real form
    for op in graph.operators:
        if op.name not in inside:
            operators.append(op)
            continue
        inputs = []
        for name in op.inputs:
            if tensors[name].kind == "real" and name not in real:
                real[name] = f"{name}/real"
                tensors[real[name]] = Tensor(real[name], tensors[name].shape)
                operators.append(Dequantize(real[name], (name,), real[name], source=op.source))
            inputs.append(real.get(name, name))
        needs_codes = op.output in graph.outputs or any(c.name not in inside for c in graph.consumers(op.output))
        real[op.output] = f"{op.output}/real" if needs_codes else op.output
        tensors[real[op.output]] = Tensor(real[op.output], tensors[op.output].shape)
        operators.append(replace(op, inputs=tuple(inputs), output=real[op.output]))
        if needs_codes:
            operators.append(Quantize(f"{op.name}/codes", (real[op.output],), op.output, source=op.source))
    return replace(graph, tensors=tensors, operators=tuple(operators))


def real_tensors(graph: Graph) -> set[str]:
    """The tensors inside the islands of a float graph, which hold real values after the others are quantised."""
    real: set[str] = set()
    for op in reversed(graph.operators):  # no Dequantize leads to the output of an embedding
        if isinstance(op, Quantize) or (op.output in real and not isinstance(op, Dequantize)):
            real.update(name for name in op.inputs if graph.tensors[name].kind == "real")
    for op in graph.operators:
        if isinstance(op, Dequantize) or (not isinstance(op, Quantize) and any(name in real for name in op.inputs)):
            real.add(op.output)
    return real
