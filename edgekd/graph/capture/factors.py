"""A pass that folds the factor in front of a softmax into its `beta`, such as attention's 1/sqrt(d)."""

from dataclasses import replace

from edgekd.graph.capture.affine import BatchNorm
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import Graph, Operator


def factors_into_softmax(graph: Graph) -> Graph:
    """Fold numbers that multiply a softmax's input, or an operand of the product in front of it, into its `beta`.

    There they cost nothing, since the kernels multiply beta with the input's scale.
    """
    producers = {op.output: op for op in graph.operators}
    softmax = {op.name: op for op in graph.operators if isinstance(op, Softmax)}
    products: dict[str, MatMul] = {}
    for name, op in softmax.items():
        source, beta = _source_and_factor(graph, producers, op.inputs[0])
        product = producers.get(source)
        if isinstance(product, MatMul) and len(graph.consumers(source)) == 1 and source not in graph.outputs:
            operands = [_source_and_factor(graph, producers, operand) for operand in product.inputs]
            products[product.name] = replace(product, inputs=tuple(operand for operand, _ in operands))
            beta *= operands[0][1] * operands[1][1]
        softmax[name] = replace(op, inputs=(source,), beta=op.beta * beta)
    operators: dict[str, Operator] = {**softmax, **products}
    return replace(graph, operators=tuple(operators.get(op.name, op) for op in graph.operators))


def _source_and_factor(graph: Graph, producers: dict[str, Operator], tensor: str) -> tuple[str, float]:
    """The (tensor, positive factor) whose product a tensor is, if nothing else reads it; else itself and 1."""
    op = producers.get(tensor)
    alone = len(graph.consumers(tensor)) == 1 and tensor not in graph.outputs
    if not (isinstance(op, BatchNorm) and alone) or op.scale.size > 1 or op.shift.any() or op.scale.item() <= 0:
        return tensor, 1.0
    return op.inputs[0], float(op.scale.item())
