"""What the graph costs: multiply-accumulates, parameters and bytes, operator by operator."""

from math import prod

from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear, MatMul, Unary
from edgekd.graph.structure import Array, Graph, Operator
from edgekd.results import OperatorRow


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference, of convolutions and products of matrices (the field's custom)."""
    return sum(operator_macs(op, graph) for op in graph.operators)


def parameters(graph: Graph) -> int:
    """Weights and biases, batch norm folded in; what several operators share counts once."""
    return sum(values.size for op in graph.operators for values in own(op))


def own(op: Operator) -> list[Array]:
    """The trained arrays that an operator shares with none before it."""
    return [] if getattr(op, "shares", "") else [getattr(op, name) for name in op.parameters]


def operator_macs(op: Operator, graph: Graph) -> int:
    """Multiply-accumulates of one operator at batch 1."""
    shape = graph.tensors[op.output].shape
    if isinstance(op, Conv2d):
        return int(op.weight.size * shape[1] * shape[2])
    if isinstance(op, ConvTranspose2d):  # each of the input's values meets every weight that reads its channel
        channels, height, width = graph.tensors[op.inputs[0]].shape
        return int(op.weight.size // op.weight.shape[1] // op.groups * channels * height * width)
    if isinstance(op, Linear):
        return int(op.weight.size) * prod(shape[:-1])
    if isinstance(op, MatMul):
        return prod(shape) * graph.tensors[op.inputs[0]].shape[-2 if op.transpose_a else -1]
    return 0


def operators(graph: Graph) -> tuple[OperatorRow, ...]:
    """One row an operator, in order of execution."""
    rows = []
    for op in graph.operators:
        stored = own(op)
        tensor = graph.tensors[op.output]
        rows.append(
            OperatorRow(
                name=op.name,
                operator=describe(op),
                output_shape=tensor.shape,
                macs=operator_macs(op, graph),
                parameters=sum(values.size for values in stored),
                weight_bytes=sum(values.nbytes for values in stored),
                output_bytes=tensor.elements * (tensor.bits // 8 if graph.quantized else 4),
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
    if isinstance(op, Unary):
        return op.function.replace("_", " ")
    name = "".join(f" {c.lower()}" if c.isupper() else c for c in type(op).__name__).strip()
    return activation if name == "relu" else name + suffix
