"""Passes over a captured graph that leave fewer operators and the same values."""

from dataclasses import replace

from edgekd.graph.capture.affine import fold_batch_norm
from edgekd.graph.capture.factors import factors_into_softmax
from edgekd.graph.capture.images import keep_images
from edgekd.graph.ops import Concat, Relu, Reshape, Slice, Sub, Take, Transpose, TwoOperands
from edgekd.graph.structure import Graph, Operator, WithActivation


def simplified(graph: Graph) -> Graph:
    """Merge reshapes, transposes and slices, fold batch norm, fuse activations, and drop what nothing reads."""
    graph = drop_unused(slice_before_joining(keep_images(graph)))
    graph = repeat_while_computing(merge_slices(merge_transposes(merge_reshapes(graph))))
    return drop_unused(fuse_activations(fold_batch_norm(factors_into_softmax(graph))))


def _rewire(graph: Graph, operators: list[Operator], aliases: dict[str, str]) -> Graph:
    """The graph with these operators, in which aliases are replaced by the tensors that they stand for."""

    def final(name: str) -> str:
        while name in aliases:
            name = aliases[name]
        return name

    result = tuple(replace(op, inputs=tuple(final(name) for name in op.inputs)) for op in operators)
    return replace(graph, operators=result, outputs=tuple(final(name) for name in graph.outputs))


def merge_reshapes(graph: Graph) -> Graph:
    """Merge a reshape of a reshape into one, and drop a reshape to the same shape."""
    operators: list[Operator] = []
    aliases: dict[str, str] = {}
    origin: dict[str, str] = {}  # a reshape's output -> the first reshape's input
    for op in graph.operators:
        if isinstance(op, Reshape):
            source = aliases.get(op.inputs[0], op.inputs[0])
            source = origin.get(source, source)
            if graph.tensors[source].shape == graph.tensors[op.output].shape:
                aliases[op.output] = source
                continue
            origin[op.output] = source
            op = replace(op, inputs=(source,))
        operators.append(op)
    return _rewire(graph, operators, aliases)


def merge_transposes(graph: Graph) -> Graph:
    """Merge a transpose of a transpose into one, and drop a transpose to the same order."""
    operators: list[Operator] = []
    aliases: dict[str, str] = {}
    before: dict[str, Transpose] = {}
    for op in graph.operators:
        if isinstance(op, Transpose):
            name = aliases.get(op.inputs[0], op.inputs[0])
            first = before.get(name)
            order = tuple(first.order[axis] for axis in op.order) if first else op.order
            op = replace(op, inputs=first.inputs if first else (name,), order=order)
            if order == tuple(range(len(order))):
                aliases[op.output] = op.inputs[0]
                continue
            before[op.output] = op
        operators.append(op)
    return _rewire(graph, operators, aliases)


def slice_before_joining(graph: Graph) -> Graph:
    """Replace a slice of a concatenation that lies within one operand by a slice of that operand, or the operand.

    So a recurrent net of which only the last state is read concatenates no states.
    """
    concats = {op.output: op for op in graph.operators if isinstance(op, Concat)}
    operators: list[Operator] = []
    aliases: dict[str, str] = {}
    for op in graph.operators:
        concat = concats.get(op.inputs[0]) if isinstance(op, Slice) else None
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
                        aliases[op.output] = name
                    break
                start += shape[concat.axis]
        if op.output not in aliases:
            operators.append(op)
    return _rewire(graph, operators, aliases)


def repeat_while_computing(graph: Graph) -> Graph:
    """Drop a Take that only repeats axes of length 1 for a sum or product (`expand_as`), which broadcasts itself."""
    producers = {op.output: op for op in graph.operators}
    operators: list[Operator] = []
    for op in graph.operators:
        if isinstance(op, TwoOperands):
            for name, other in (op.inputs, op.inputs[::-1]):
                take, is_first = producers.get(name), name == op.inputs[0]
                full_size = graph.tensors[other].shape == graph.tensors[op.output].shape
                if (
                    isinstance(take, Take)
                    and _repeats(take, graph)
                    and full_size
                    and not (is_first and isinstance(op, Sub))
                ):
                    op = replace(op, inputs=(other, take.inputs[0]))
                    break
        operators.append(op)
    return replace(graph, operators=tuple(operators))


def _repeats(take: Take, graph: Graph) -> bool:
    lengths = graph.tensors[take.inputs[0]].shape
    return all(n == 1 for n, positions in zip(lengths, take.positions, strict=True) if positions is not None)


def merge_slices(graph: Graph) -> Graph:
    """Merge slices of different axes, which torch writes one axis at a time, into one."""
    producers = {op.output: op for op in graph.operators}
    slices: dict[str, Slice] = {}
    for op in graph.operators:
        if not isinstance(op, Slice):
            continue
        before = slices.get(op.inputs[0]) or producers.get(op.inputs[0])
        full_ranges = [(0, n, 1) for n in graph.tensors[op.inputs[0]].shape]
        if isinstance(before, Slice):
            outer = [(0, n, 1) for n in graph.tensors[before.inputs[0]].shape]
            pairs = list(zip(before.ranges, op.ranges, outer, full_ranges, strict=True))
            if all(first == full_first or second == full_second for first, second, full_first, full_second in pairs):
                ranges = tuple(second if first == full_first else first for first, second, full_first, _ in pairs)
                op = replace(op, inputs=before.inputs, ranges=ranges)
        slices[op.output] = op
    return replace(graph, operators=tuple(slices.get(op.output, op) for op in graph.operators))


def fuse_activations(graph: Graph) -> Graph:
    """Fuse ReLU and ReLU6 into the operator before, where nothing else reads that."""
    producers = {op.output: op for op in graph.operators}
    fusions: dict[str, Operator] = {}
    aliases: dict[str, str] = {}
    for op in graph.operators:
        if not isinstance(op, Relu):
            continue
        before = producers.get(op.inputs[0])
        if not isinstance(before, WithActivation) or before.activation != "none" or before.name in fusions:
            continue
        if len(graph.consumers(before.output)) == 1 and before.output not in graph.outputs:
            fusions[before.name] = replace(before, activation=op.activation)
            aliases[op.output] = before.output
    operators = [fusions.get(op.name, op) for op in graph.operators if op.output not in aliases]
    return _rewire(graph, operators, aliases)


def drop_unused(graph: Graph) -> Graph:
    """Drop operators that no output depends on, and their tensors."""
    return graph.until(*graph.outputs)
