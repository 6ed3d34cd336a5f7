"""Lowerings of products of activations, attention and softmax."""

import math
from typing import Any

import numpy as np
from torch import fx

from edgekd.graph.capture.lowerings.movement import TRANSPOSES, order_of
from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments, kind_of
from edgekd.graph.ops import Linear, MatMul, Softmax


def _lower_matmul(reader: Reader, node: fx.Node) -> None:
    a, b = node.args[:2]
    if reader.is_tensor(a) and not reader.is_tensor(b):
        _lower_product_with_weights(reader, node, a, b)
        return
    (a, transpose_a), (b, transpose_b) = _transposed_operand(a), _transposed_operand(b)
    shapes = [reader.shape(operand) for operand in (a, b)]
    if len(shapes[0]) != len(shapes[1]) or len(shapes[0]) < 2 or shapes[0][:-2] != shapes[1][:-2]:
        raise Unsupported(
            f"operands of shapes {shapes[0]} and {shapes[1]}: they differ in all but matrix rows and columns"
        )
    fields = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    reader.emit(node, MatMul, (reader.name(a), reader.name(b)), **fields)


def _lower_product_with_weights(reader: Reader, node: fx.Node, x: Any, w: Any) -> None:
    weight = reader.value(w)
    assert weight is not None
    if weight.ndim != 2:
        raise Unsupported(f"its stored operand has {weight.ndim} axes; a matrix has two")
    bias = np.zeros(weight.shape[1], np.float32)
    reader.emit(node, Linear, (reader.name(x),), weight=np.ascontiguousarray(weight.T), bias=bias)


def _transposed_operand(operand: Any) -> tuple[Any, bool]:
    """The (node, whether its last two axes are swapped) of an operand; a product reads them swapped at no cost."""
    if not isinstance(operand, fx.Node) or operand.op != "call_function":
        return operand, False
    rank = operand.meta["val"].dim()
    swaps = kind_of(operand) in TRANSPOSES and order_of(operand) == [*range(rank - 2), rank - 1, rank - 2]
    return (operand.args[0], True) if swaps and rank > 2 else (operand, False)


def _lower_attention(reader: Reader, node: fx.Node) -> None:
    """Lower softmax(q k^T / sqrt(d)) v (Vaswani et al., 2017); the factor becomes the softmax's beta, at no cost."""
    q, k, v, mask, causal, scale = arguments(node, "query", "key", "value", "attn_mask", "is_causal", "scale")
    if mask is not None or causal:
        raise Unsupported("attention masks have no int8 form: a masked score is minus infinity")
    shapes = [reader.shape(operand) for operand in (q, k, v)]
    if len({shape[:-2] for shape in shapes}) > 1 or len(shapes[0]) < 2:
        raise Unsupported("query, key and value differ in heads")
    queries, keys = shapes[0][-2], shapes[1][-2]
    beta = 1 / math.sqrt(shapes[0][-1]) if scale is None else float(scale)
    scores_shape = (*shapes[0][:-2], queries, keys)
    names = [reader.name(operand) for operand in (q, k, v)]
    scores = reader.emit(node, MatMul, (names[0], names[1]), transpose_b=True, shape=scores_shape)
    if beta <= 0:
        raise Unsupported(f"its scale is {beta:g}")
    weights = reader.emit(node, Softmax, (scores,), beta=beta, shape=scores_shape)
    reader.emit(node, MatMul, (weights, names[2]))


def _lower_softmax(reader: Reader, node: fx.Node) -> None:
    x, axis = arguments(node, "self", "dim")
    shape = reader.shape(x)
    if axis % (len(shape) + 1) != len(shape) or not shape:
        raise Unsupported("a softmax over another axis than the last; transpose its input")
    if shape[-1] < 2:
        raise Unsupported("a softmax of one value is always 1")
    reader.emit(node, Softmax, (reader.name(x),))


LOWERINGS: dict[str, Lowering] = {
    "matmul": _lower_matmul,
    "bmm": _lower_matmul,
    "scaled_dot_product_attention": _lower_attention,
    "softmax": _lower_softmax,
}
