"""The float form of every operator, in torch: (op, inputs..., weight, bias, shape of the output) -> values."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.ops import (
    Activation,
    Add,
    AveragePool2d,
    Conv2d,
    GlobalAveragePool,
    Linear,
    MaxPool2d,
    Operator,
    Pad,
    Relu,
    Reshape,
    Slice,
)


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
}
