"""Passes over a captured graph: fewer operators, the same values."""

from dataclasses import replace

from edgekd.graph.capture.affine import fold_batch_norm
from edgekd.graph.capture.factors import factors_into_softmax
from edgekd.graph.capture.images import keep_images
from edgekd.graph.ops import Concat, Relu, Reshape, Slice, Sub, Take, Transpose, TwoOperands
from edgekd.graph.structure import Graph, Operator, WithActivation


def simplified(graph: Graph) -> Graph:
    """Reshapes, transposes and slices merged, batch norm folded, activations fused, and what nobody reads dropped."""
    graph = drop_unused(slice_before_joining(keep_images(graph)))
    graph = repeat_while_computing(merge_slices(merge_transposes(merge_reshapes(graph))))
    return drop_unused(fuse_activations(fold_batch_norm(factors_into_softmax(graph))))


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


def merge_transposes(graph: Graph) -> Graph:
    """A transpose of a transpose is one; a transpose to the same order is none."""
    operators: list[Operator] = []
    renamed: dict[str, str] = {}
    before: dict[str, Transpose] = {}
    for op in graph.operators:
        if isinstance(op, Transpose):
            name = renamed.get(op.inputs[0], op.inputs[0])
            first = before.get(name)
            order = tuple(first.order[axis] for axis in op.order) if first else op.order
            op = replace(op, inputs=first.inputs if first else (name,), order=order)
            if order == tuple(range(len(order))):
                renamed[op.output] = op.inputs[0]
                continue
            before[op.output] = op
        operators.append(op)
    return _rewire(graph, operators, renamed)


def slice_before_joining(graph: Graph) -> Graph:
    """A slice of a concatenation that lies within one of its operands is a slice of that operand, or the operand.

    So a recurrent net of which only the last state is read joins no states.
    """
    joined = {op.output: op for op in graph.operators if isinstance(op, Concat)}
    operators: list[Operator] = []
    renamed: dict[str, str] = {}
    for op in graph.operators:
        concat = joined.get(op.inputs[0]) if isinstance(op, Slice) else None
        if isinstance(op, Slice) and concat:
            begin, end, step = op.ranges[concat.axis]
            start = 0
            for name in concat.inputs:
                shape = graph.tensors[name].shape
                if start <= begin and end <= start + shape[concat.axis]:
                    ranges = list(op.ranges)
                    ranges[concat.axis] = (begin - start, end - start, step)
                    op = replace(op, inputs=(name,), ranges=tuple(ranges))
                    if ranges == [(0, n, 1) for n in shape]:
                        renamed[op.output] = name
                    break
                start += shape[concat.axis]
        if op.output not in renamed:
            operators.append(op)
    return _rewire(graph, operators, renamed)


def repeat_while_computing(graph: Graph) -> Graph:
    """What only repeats axes of length 1 for a sum or product (`expand_as`) is left to the sum or product."""
    made_by = {op.output: op for op in graph.operators}
    operators: list[Operator] = []
    for op in graph.operators:
        if isinstance(op, TwoOperands):
            for name, other in (op.inputs, op.inputs[::-1]):
                take, swapped = made_by.get(name), name == op.inputs[0]
                whole = graph.tensors[other].shape == graph.tensors[op.output].shape
                if isinstance(take, Take) and _repeats(take, graph) and whole and not (swapped and isinstance(op, Sub)):
                    op = replace(op, inputs=(other, take.inputs[0]))
                    break
        operators.append(op)
    return replace(graph, operators=tuple(operators))


def _repeats(take: Take, graph: Graph) -> bool:
    lengths = graph.tensors[take.inputs[0]].shape
    return all(n == 1 for n, positions in zip(lengths, take.positions, strict=True) if positions is not None)


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


def fuse_activations(graph: Graph) -> Graph:
    """ReLU and ReLU6 into the operator before, where nothing else reads what comes between."""
    made_by = {op.output: op for op in graph.operators}
    fused: dict[str, Operator] = {}
    renamed: dict[str, str] = {}
    for op in graph.operators:
        if not isinstance(op, Relu):
            continue
        before = made_by.get(op.inputs[0])
        if not isinstance(before, WithActivation) or before.activation != "none" or before.name in fused:
            continue
        if len(graph.consumers(before.output)) == 1 and before.output not in graph.outputs:
            fused[before.name] = replace(before, activation=op.activation)
            renamed[op.output] = before.output
    operators = [fused.get(op.name, op) for op in graph.operators if op.output not in renamed]
    return _rewire(graph, operators, renamed)


def drop_unused(graph: Graph) -> Graph:
    """Operators that the output does not need, and tensors that no operator is left to make."""
    return graph.until(*graph.outputs)
