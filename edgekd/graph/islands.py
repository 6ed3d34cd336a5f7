"""Float islands: operators that compute on real values between two explicit boundaries in a quantised graph."""

from collections.abc import Collection
from dataclasses import replace

from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Graph, Operator, Tensor

FLOAT_ONLY: tuple[type[Operator], ...] = ()
"""Operators for which no runtime has an integer kernel."""


def with_islands(graph: Graph, layers: Collection[str] = ()) -> Graph:
    """A float graph in which `layers`, and operators that are FLOAT_ONLY, stand between Dequantize and Quantize.

    Operators inside that follow one another exchange real values. The graph's inputs and outputs stay codes.

    Args:
        layers: names of operators to be kept in float.
    """
    inside = {op.name for op in graph.operators if op.name in layers or isinstance(op, FLOAT_ONLY)}
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
    """The tensors inside islands of a float graph: they will hold real values when the rest holds codes."""
    real: set[str] = set()
    for op in graph.operators:
        if isinstance(op, Dequantize) or (not isinstance(op, Quantize) and any(name in real for name in op.inputs)):
            real.add(op.output)
    return real
