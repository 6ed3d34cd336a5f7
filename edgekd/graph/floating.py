"""The float form of every operator, in torch: (op, inputs..., parameters..., shape of the output) -> values."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.ops import (
    Add,
    AveragePool2d,
    Constant,
    Conv2d,
    Dequantize,
    Embedding,
    GlobalAveragePool,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool2d,
    Pad,
    Quantize,
    Relu,
    Reshape,
    Slice,
    Softmax,
)
from edgekd.graph.structure import Activation, Operator


def activated(x: Tensor, activation: Activation) -> Tensor:
    """The values that a fused activation lets through."""
    if activation == "relu6":
        return x.clamp(0, 6)
    return F.relu(x) if activation == "relu" else x


def convolved(op: Conv2d, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Zeros around, which are real zeros in codes less their zero point too."""
    top, bottom, left, right = op.padding
    if top == bottom and left == right:
        return F.conv2d(x, weight, bias, op.stride, (top, left), op.dilation, op.groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, op.stride, 0, op.dilation, op.groups)


def padded(op: Pad, x: Tensor, value: float) -> Tensor:
    """`value` around, on each axis."""
    return F.pad(x, [n for amounts in reversed(op.amounts) for n in amounts], value=value)


def max_pooled(op: MaxPool2d, x: Tensor, lowest: float) -> Tensor:
    """Padding is `lowest`, so it never wins."""
    top, bottom, left, right = op.padding
    return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=lowest), op.kernel, op.stride)


def matrix_product(op: MatMul, a: Tensor, b: Tensor) -> Tensor:
    """Each matrix of `a` times its fellow of `b`, as `op` has them turned."""
    return (a.mT if op.transpose_a else a) @ (b.mT if op.transpose_b else b)


def sliced(op: Slice, x: Tensor) -> Tensor:
    """Begin, end and step of each axis, the batch whole."""
    return x[(slice(None), *(slice(*r) for r in op.ranges))]


FLOAT: dict[type[Operator], Callable[..., Tensor]] = {
    Conv2d: lambda op, x, w, b, shape: activated(convolved(op, x, w, b), op.activation),
    Linear: lambda op, x, w, b, shape: activated(F.linear(x, w, b), op.activation),
    Add: lambda op, x, y, shape: activated(x + y, op.activation),
    Relu: lambda op, x, shape: activated(x, op.activation),
    GlobalAveragePool: lambda op, x, shape: x.mean((2, 3)),
    MaxPool2d: lambda op, x, shape: max_pooled(op, x, float("-inf")),
    AveragePool2d: lambda op, x, shape: F.avg_pool2d(x, op.kernel, op.stride),
    Pad: lambda op, x, shape: padded(op, x, 0.0),
    Slice: lambda op, x, shape: sliced(op, x),
    Reshape: lambda op, x, shape: x.reshape(len(x), *shape),
    MatMul: lambda op, a, b, shape: matrix_product(op, a, b),
    Softmax: lambda op, x, shape: F.softmax(x * op.beta, -1),
    LayerNorm: lambda op, x, w, b, shape: F.layer_norm(x, x.shape[-1:], w, b, op.epsilon),
    Embedding: lambda op, x, w, shape: F.embedding(x, w),
    Constant: lambda op, value, shape: value[None],
    Dequantize: lambda op, x, shape: x,
    Quantize: lambda op, x, shape: x,
}
