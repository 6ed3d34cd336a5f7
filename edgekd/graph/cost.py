"""The cost of a graph for the report: multiply-accumulates, parameters and bytes, operator by operator."""

from edgekd.graph.structure import Array, Graph, Operator, Weighted, WithActivation
from edgekd.results import OperatorRow


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference, in convolutions and matrix products as is the field's custom."""
    return sum(op.macs(graph.tensors) for op in graph.operators)


def parameters(graph: Graph) -> int:
    """The number of weights and biases after batch norm is folded; what several operators share counts once."""
    return sum(values.size for op in graph.operators for values in own_parameters(op))


def own_parameters(op: Operator) -> list[Array]:
    """The trained arrays of an operator; none where it uses those of another operator."""
    return [] if isinstance(op, Weighted) and op.shares else [getattr(op, name) for name in op.parameters]


def operators(graph: Graph) -> tuple[OperatorRow, ...]:
    """A row for each operator, in order of execution."""
    rows = []
    for op in graph.operators:
        arrays = own_parameters(op)
        tensor = graph.tensors[op.output]
        rows.append(
            OperatorRow(
                name=op.name,
                operator=describe(op),
                output_shape=tensor.shape,
                macs=op.macs(graph.tensors),
                parameters=sum(values.size for values in arrays),
                weight_bytes=sum(values.nbytes for values in arrays),
                output_bytes=tensor.elements * (tensor.bits // 8 if graph.quantized else 4),
            )
        )
    return tuple(rows)


def named(op: Operator) -> str:
    """block1.conv1 (conv2d 3x3 + relu): an operator by its name and what it is."""
    return f"{op.name} ({describe(op)})"


def describe(op: Operator) -> str:
    """An operator in words, with its fused activation: "depthwise 3x3 /2 + relu", "linear", "add"."""
    activation = op.activation if isinstance(op, WithActivation) else "none"
    return op.title if activation == "none" else f"{op.title} + {activation}"
