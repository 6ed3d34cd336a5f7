"""The float form of every operator, in torch: (op, inputs..., parameters..., shape of the output) -> values."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.functions import FUNCTIONS
from edgekd.graph.ops import (
    Add,
    AveragePool2d,
    Concat,
    Constant,
    Conv2d,
    ConvTranspose2d,
    Dequantize,
    Embedding,
    GlobalAveragePool,
    LayerNorm,
    Linear,
    MatMul,
    MaxPool2d,
    Mean,
    Mul,
    Pad,
    Prelu,
    Quantize,
    Relu,
    Requantize,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Sub,
    Take,
    Transpose,
    Unary,
)
from edgekd.graph.structure import Activation, Operator
from edgekd.graph.windows import cells


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


def transposed(op: ConvTranspose2d, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """torch wants the weight as (in, out / groups, kernel height, kernel width)."""
    out, into, *kernel = weight.shape
    turned = weight.reshape(op.groups, out // op.groups, into, *kernel).transpose(1, 2).flatten(0, 1)
    return F.conv_transpose2d(x, turned, bias, op.stride, op.padding, op.output_padding, op.groups)


def averaged(op: AveragePool2d, x: Tensor) -> Tensor:
    """Padding is neither added nor counted."""
    if not any(op.padding):
        return F.avg_pool2d(x, op.kernel, op.stride)
    counts = torch.from_numpy(cells(op, (x.shape[2], x.shape[3]))).to(x)
    return window_sums(op, x) / counts


def window_sums(op: AveragePool2d, x: Tensor) -> Tensor:
    """The sum over each window."""
    top, bottom, left, right = op.padding
    return F.avg_pool2d(F.pad(x, (left, right, top, bottom)), op.kernel, op.stride, divisor_override=1)


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


def transposed_axes(op: Transpose, x: Tensor) -> Tensor:
    """The batch stays first."""
    return x.permute(0, *(axis + 1 for axis in op.order))


def concatenated(op: Concat, inputs: Sequence[Tensor]) -> Tensor:
    """A constant, which is one for all samples, is repeated for each."""
    samples = max(map(len, inputs))
    return torch.cat([x.expand(samples, *x.shape[1:]) for x in inputs], dim=op.axis + 1)


def taken(op: Take, x: Tensor) -> Tensor:
    """Axis by axis."""
    for axis, positions in enumerate(op.positions):
        if positions is not None:
            x = x.index_select(axis + 1, torch.tensor(positions, device=x.device))
    return x


def resized(op: Resize, x: Tensor, size: Sequence[int]) -> Tensor:
    """To (height, width), bilinear."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=op.align_corners)


FLOAT: dict[type[Operator], Callable[..., Tensor]] = {
    Conv2d: lambda op, x, w, b, shape: activated(convolved(op, x, w, b), op.activation),
    ConvTranspose2d: lambda op, x, w, b, shape: activated(transposed(op, x, w, b), op.activation),
    Linear: lambda op, x, w, b, shape: activated(F.linear(x, w, b), op.activation),
    Add: lambda op, x, y, shape: activated(x + y, op.activation),
    Sub: lambda op, x, y, shape: activated(x - y, op.activation),
    Mul: lambda op, x, y, shape: activated(x * y, op.activation),
    Unary: lambda op, x, shape: FUNCTIONS[op.function](x, op.alpha),
    Prelu: lambda op, x, slope, shape: F.prelu(x, slope),
    Relu: lambda op, x, shape: activated(x, op.activation),
    GlobalAveragePool: lambda op, x, shape: x.mean((2, 3)),
    Mean: lambda op, x, shape: x.mean([axis + 1 for axis in op.axes]),
    MaxPool2d: lambda op, x, shape: max_pooled(op, x, float("-inf")),
    AveragePool2d: lambda op, x, shape: averaged(op, x),
    Pad: lambda op, x, shape: padded(op, x, op.value),
    Slice: lambda op, x, shape: sliced(op, x),
    Reshape: lambda op, x, shape: x.reshape(len(x), *shape),
    MatMul: lambda op, a, b, shape: matrix_product(op, a, b),
    Softmax: lambda op, x, shape: F.softmax(x * op.beta, -1),
    LayerNorm: lambda op, x, w, b, shape: F.layer_norm(x, x.shape[-1:], w, b, op.epsilon),
    Embedding: lambda op, x, w, shape: F.embedding(x, w),
    Transpose: lambda op, x, shape: transposed_axes(op, x),
    Concat: lambda op, *x, shape: concatenated(op, x),
    Take: lambda op, x, shape: taken(op, x),
    Resize: lambda op, x, shape: resized(op, x, shape[1:]),
    Requantize: lambda op, x, shape: x,
    Constant: lambda op, value, shape: value[None],
    Dequantize: lambda op, x, shape: x,
    Quantize: lambda op, x, shape: x,
}
