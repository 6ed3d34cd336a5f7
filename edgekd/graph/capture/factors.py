"""A pass that takes the factor in front of a softmax into it: attention's 1/sqrt(d), wherever it is written."""

from dataclasses import replace

from edgekd.graph.capture.affine import BatchNorm
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import Graph, Operator


def factors_into_softmax(graph: Graph) -> Graph:
    """Numbers by which a softmax's input, or an operand of the product that it reads, is multiplied are its `beta`.

    There they cost nothing: a softmax reads its input's scale.
    """
    made_by = {op.output: op for op in graph.operators}
    softmax = {op.name: op for op in graph.operators if isinstance(op, Softmax)}
    products: dict[str, MatMul] = {}
    for name, op in softmax.items():
        source, beta = _unscaled(graph, made_by, op.inputs[0])
        product = made_by.get(source)
        if isinstance(product, MatMul) and len(graph.consumers(source)) == 1 and source not in graph.outputs:
            found = [_unscaled(graph, made_by, operand) for operand in product.inputs]
            products[product.name] = replace(product, inputs=tuple(operand for operand, _ in found))
            beta *= found[0][1] * found[1][1]
        softmax[name] = replace(op, inputs=(source,), beta=op.beta * beta)
    changed: dict[str, Operator] = {**softmax, **products}
    return replace(graph, operators=tuple(changed.get(op.name, op) for op in graph.operators))


def _unscaled(graph: Graph, made_by: dict[str, Operator], tensor: str) -> tuple[str, float]:
    """(what a tensor is a multiple of, by which positive number), as long as nobody else reads it."""
    op = made_by.get(tensor)
    alone = len(graph.consumers(tensor)) == 1 and tensor not in graph.outputs
    if not (isinstance(op, BatchNorm) and alone) or op.scale.size > 1 or op.shift.any() or op.scale.item() <= 0:
        return tensor, 1.0
    return op.inputs[0], float(op.scale.item())
