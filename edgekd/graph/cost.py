"""What the graph costs: multiply-accumulates, parameters and bytes, operator by operator."""

from edgekd.figures import OperatorRow
from edgekd.graph.ops import Conv2d, Linear
from edgekd.graph.structure import Graph, Operator, Weighted


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference, of convolutions and linear layers (the field's custom)."""
    return sum(operator_macs(op, graph) for op in graph.operators)


def parameters(graph: Graph) -> int:
    """Weights and biases, batch norm folded in."""
    return sum(op.weight.size + op.bias.size for op in graph.weighted())


def operator_macs(op: Operator, graph: Graph) -> int:
    """Multiply-accumulates of one operator at batch 1."""
    if isinstance(op, Conv2d):
        _, height, width = graph.tensors[op.output].shape
        return int(op.weight.size * height * width)
    return int(op.weight.size) if isinstance(op, Linear) else 0


def operators(graph: Graph) -> tuple[OperatorRow, ...]:
    """One row an operator, in order of execution."""
    rows = []
    for op in graph.operators:
        weighted = op if isinstance(op, Weighted) else None
        tensor = graph.tensors[op.output]
        rows.append(
            OperatorRow(
                name=op.name,
                operator=describe(op),
                output_shape=tensor.shape,
                macs=operator_macs(op, graph),
                parameters=int(weighted.weight.size + weighted.bias.size) if weighted else 0,
                weight_bytes=int(weighted.weight.nbytes + weighted.bias.nbytes) if weighted else 0,
                output_bytes=tensor.elements * (1 if graph.quantized else 4),
            )
        )
    return tuple(rows)


def describe(op: Operator) -> str:
    """conv2d 3x3, depthwise 3x3 /2, linear, add: an operator as a reader knows it."""
    activation = getattr(op, "activation", "none")
    suffix = f" + {activation}" if activation != "none" else ""
    if isinstance(op, Conv2d):
        kind = "depthwise" if op.depthwise else "conv2d"
        height, width = op.weight.shape[2:]
        stride = "" if op.stride == (1, 1) else f" /{op.stride[0]}"
        return f"{kind} {height}x{width}{stride}{suffix}"
    name = "".join(f" {c.lower()}" if c.isupper() else c for c in type(op).__name__).strip()
    return activation if name == "relu" else name + suffix
