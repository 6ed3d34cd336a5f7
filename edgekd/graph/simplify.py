"""Passes over a captured graph: fewer operators, the same values."""

from dataclasses import dataclass, replace

import numpy as np

from edgekd.graph.ops import Add, Conv2d, Relu, Reshape, Slice
from edgekd.graph.structure import Array, Graph, Operator, Weighted


@dataclass(frozen=True)
class BatchNorm(Operator):
    """y = x * scale + shift for each channel; folded away before anyone else sees the graph."""

    scale: Array
    shift: Array


def simplified(graph: Graph) -> Graph:
    """Reshapes and slices merged, batch norm folded, activations fused, and what nobody reads dropped."""
    for simplify in (merge_reshapes, merge_slices, fold_batch_norm, fuse_activations, drop_unused):
        graph = simplify(graph)
    return graph


def _rewire(graph: Graph, operators: list[Operator], renamed: dict[str, str]) -> Graph:
    """The graph with other operators, in which some tensors go by another's name."""

    def final(name: str) -> str:
        while name in renamed:
            name = renamed[name]
        return name

    rewired = tuple(replace(op, inputs=tuple(final(name) for name in op.inputs)) for op in operators)
    return replace(graph, operators=rewired, outputs=tuple(final(name) for name in graph.outputs))


def merge_reshapes(graph: Graph) -> Graph:
    """A reshape of a reshape is one; a reshape to the same shape is none."""
    operators: list[Operator] = []
    renamed: dict[str, str] = {}
    origin: dict[str, str] = {}  # a reshape's output -> what was reshaped
    for op in graph.operators:
        if isinstance(op, Reshape):
            source = renamed.get(op.inputs[0], op.inputs[0])
            source = origin.get(source, source)
            if graph.tensors[source].shape == graph.tensors[op.output].shape:
                renamed[op.output] = source
                continue
            origin[op.output] = source
            op = replace(op, inputs=(source,))
        operators.append(op)
    return _rewire(graph, operators, renamed)


def merge_slices(graph: Graph) -> Graph:
    """torch slices one axis at a time; slices of different axes, one after the other, are one."""
    made_by = {op.output: op for op in graph.operators}
    merged: dict[str, Slice] = {}
    for op in graph.operators:
        if not isinstance(op, Slice):
            continue
        before = merged.get(op.inputs[0]) or made_by.get(op.inputs[0])
        whole = [(0, n, 1) for n in graph.tensors[op.inputs[0]].shape]
        if isinstance(before, Slice):
            outer = [(0, n, 1) for n in graph.tensors[before.inputs[0]].shape]
            pairs = list(zip(before.ranges, op.ranges, outer, whole, strict=True))
            if all(first == all_of_it or second == rest for first, second, all_of_it, rest in pairs):
                ranges = tuple(second if first == full else first for first, second, full, _ in pairs)
                op = replace(op, inputs=before.inputs, ranges=ranges)
        merged[op.output] = op
    return replace(graph, operators=tuple(merged.get(op.output, op) for op in graph.operators))


def fold_batch_norm(graph: Graph) -> Graph:
    """Into the convolution or linear layer before it; else it becomes a 1 x 1 depthwise convolution of its own."""
    made_by = {op.output: op for op in graph.operators}
    folded: dict[str, Operator] = {}
    renamed: dict[str, str] = {}
    for op in graph.operators:
        if not isinstance(op, BatchNorm):
            continue
        before = made_by.get(op.inputs[0])
        before = folded.get(before.name, before) if before else None
        if isinstance(before, Weighted) and len(graph.consumers(before.output)) == 1:
            weight = before.weight * op.scale.reshape(-1, *[1] * (before.weight.ndim - 1))
            bias = before.bias * op.scale + op.shift
            folded[before.name] = replace(before, weight=weight.astype(np.float32), bias=bias.astype(np.float32))
            renamed[op.output] = before.output
        elif len(graph.tensors[op.output].shape) == 3:
            weight, bias = op.scale.reshape(-1, 1, 1, 1).astype(np.float32), op.shift.astype(np.float32)
            own = Conv2d(op.name, op.inputs, op.output, weight, bias, groups=len(bias), source=op.source)
            folded[op.name] = own
    operators = [folded.get(op.name, op) for op in graph.operators if op.output not in renamed]
    return _rewire(graph, operators, renamed)


def fuse_activations(graph: Graph) -> Graph:
    """ReLU and ReLU6 into the operator before, where nothing else reads what comes between."""
    made_by = {op.output: op for op in graph.operators}
    fused: dict[str, Operator] = {}
    renamed: dict[str, str] = {}
    for op in graph.operators:
        if not isinstance(op, Relu):
            continue
        before = made_by.get(op.inputs[0])
        if not isinstance(before, (Weighted, Add)) or before.activation != "none" or before.name in fused:
            continue
        if len(graph.consumers(before.output)) == 1 and before.output not in graph.outputs:
            fused[before.name] = replace(before, activation=op.activation)
            renamed[op.output] = before.output
    operators = [fused.get(op.name, op) for op in graph.operators if op.output not in renamed]
    return _rewire(graph, operators, renamed)


def drop_unused(graph: Graph) -> Graph:
    """Operators that the output does not need, and tensors that no operator is left to make."""
    return graph.until(*graph.outputs)
