"""Random operators: each function adds one operator or a few with random settings to a graph of `random_graphs`."""

from collections.abc import Callable
from itertools import permutations
from math import prod, sqrt
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from edgekd.graph import ops
from edgekd.graph.capture.affine import BatchNorm
from edgekd.graph.operators.unary import FUNCTIONS
from support.random_graphs import ACTIVATIONS, Drawn, GraphBuilder

RandomOperator = Callable[[GraphBuilder], None]


def convolution(builder: GraphBuilder) -> None:
    """Add a convolution of any kernel, stride, dilation and padding: dense, grouped, or depthwise with a multiplier."""
    source = builder.newest(3)
    channels, *sides = builder.shape(source)
    groups = builder.one_of(*dict.fromkeys((1, channels, *(g for g in range(2, channels) if channels % g == 0))))
    outputs = groups * builder.between(1, 6 if groups < channels else 3)
    kernel = (builder.between(1, 4), builder.between(1, 4))
    dilation = (builder.between(1, 2), builder.between(1, 2))
    padding: list[int] = []
    for side, size, gap in zip(sides, kernel, dilation, strict=True):
        reach = gap * (size - 1)
        least = max(0, reach + 1 - side)
        before = builder.between(0, max(least, reach))
        padding += [before, builder.between(max(0, least - before), max(least, reach))]
    builder.emit(
        ops.Conv2d,
        source,
        **builder.weights(outputs, channels // groups, *kernel),
        stride=(builder.between(1, 3), builder.between(1, 3)),
        padding=tuple(padding),
        dilation=dilation,
        groups=groups,
        activation=builder.one_of(*ACTIVATIONS),
    )


def transposed_convolution(builder: GraphBuilder) -> None:
    """Add a transposed convolution; its padding is less than the kernel, its output padding less than the stride."""
    source = builder.newest(3)
    channels = builder.shape(source)[0]
    kernel = (builder.between(1, 4), builder.between(1, 4))
    stride = (builder.between(1, 3), builder.between(1, 3))
    # An output of size zero is not allowed for a single pixel: the padding of both sides is less than the kernel.
    padding = tuple(builder.between(0, (size - 1) // 2) for size in kernel)
    builder.emit(
        ops.ConvTranspose2d,
        source,
        **builder.weights(builder.between(1, 6), channels, *kernel),
        stride=stride,
        padding=padding,
        output_padding=tuple(builder.between(0, step - 1) for step in stride),
        activation=builder.one_of(*ACTIVATIONS),
    )


def linear(builder: GraphBuilder) -> None:
    """Add a linear layer on a vector or on each row of a matrix."""
    source = builder.newest(1, 2)
    weights = builder.weights(builder.between(1, 12), builder.shape(source)[-1])
    builder.emit(ops.Linear, source, **weights, activation=builder.one_of(*ACTIVATIONS))


def norm(builder: GraphBuilder) -> None:
    """Add a scale and a shift for each channel."""
    source = builder.newest(3, 1, 2)
    channels = builder.shape(source)[0]
    scale = builder.normal(channels) * builder.one_of(1, 0.01, 0)
    builder.emit(BatchNorm, source, scale=scale.astype(np.float32), shift=builder.normal(channels))


def binary(builder: GraphBuilder) -> None:
    """Add an operator on a tensor and another one of its shape, which may be the same tensor."""
    first = builder.newest(3, 1, 2)
    second = builder.newest(len(builder.shape(first)), fits=lambda shape: shape == builder.shape(first))
    kind = builder.one_of(ops.Add, ops.Sub, ops.Mul)
    builder.emit(kind, first, second, activation=builder.one_of(*ACTIVATIONS))


def repeated(builder: GraphBuilder) -> None:
    """Combine each channel with a number of its own, which is computed (squeeze-and-excite) or a constant."""
    source = builder.newest(3)
    channels = builder.shape(source)[0]
    if builder.one_of(True, False):
        pooled = builder.emit(ops.GlobalAveragePool, source)
        factor = builder.emit(ops.Reshape, pooled, shape=(channels, 1, 1))
    else:
        factor = builder.emit(ops.Constant, value=builder.normal(channels, 1, 1))
    kind = builder.one_of(ops.Mul, ops.Add, ops.Sub)
    builder.emit(kind, source, factor, activation=builder.one_of(*ACTIVATIONS))


def relu(builder: GraphBuilder) -> None:
    builder.emit(ops.Relu, builder.newest(3, 1, 2), activation=builder.one_of("relu", "relu6"))


def function(builder: GraphBuilder) -> None:
    """Add any function of one value."""
    alpha = builder.one_of(0.01, 1.0, 0.3)
    builder.emit(ops.Unary, builder.newest(3, 1, 2), function=builder.one_of(*FUNCTIONS), alpha=alpha)


def prelu(builder: GraphBuilder) -> None:
    source = builder.newest(3)
    slope = builder.normal(builder.shape(source)[0]) * builder.one_of(0.25, 1, 0)
    builder.emit(ops.Prelu, source, slope=slope.astype(np.float32))


def pool(builder: GraphBuilder) -> None:
    """Add max or average pooling of any window, with any padding that leaves each window at least one value."""
    source = builder.newest(3)
    kernel, padding = [], list[int]()
    for side in builder.shape(source)[1:]:
        kernel.append(builder.between(1, min(4, side)))
        padding += [builder.between(0, (kernel[-1] - 1) // 2), builder.between(0, (kernel[-1] - 1) // 2)]
    builder.emit(
        builder.one_of(ops.MaxPool2d, ops.AveragePool2d),
        source,
        kernel=tuple(kernel),
        stride=(builder.between(1, 3), builder.between(1, 3)),
        padding=tuple(padding),
    )


def mean(builder: GraphBuilder) -> None:
    """Add a mean over height and width, or over any other axes."""
    source = builder.newest(3, 2)
    rank = len(builder.shape(source))
    if rank == 3 and builder.one_of(True, False):
        builder.emit(ops.GlobalAveragePool, source)
        return
    every = [tuple(a for a in range(rank) if number >> a & 1) for number in range(1, 2**rank)]
    builder.emit(
        ops.Mean, source, axes=builder.one_of(*(axes for axes in every if len(axes) < rank and axes != (1, 2)))
    )


def pad(builder: GraphBuilder) -> None:
    """Add zeros on any side of any axis."""
    source = builder.newest(3, 1, 2)
    amounts = tuple((builder.between(0, 2), builder.between(0, 2)) for _ in builder.shape(source))
    builder.emit(ops.Pad, source, amounts=amounts)


def cut(builder: GraphBuilder) -> None:
    """Add a slice with steps along any axis."""
    source = builder.newest(3, 1, 2)
    ranges = []
    for side in builder.shape(source):
        begin = builder.between(0, side - 1)
        ranges.append((begin, builder.between(begin + 1, side), builder.between(1, 2)))
    builder.emit(ops.Slice, source, ranges=tuple(ranges))


def concatenation(builder: GraphBuilder) -> None:
    """Concatenate two or three tensors of any scales along an axis in which they may differ."""
    first = builder.newest(3, 1, 2)
    shape = builder.shape(first)
    axis = builder.between(0, len(shape) - 1)

    def fits(other: tuple[int, ...]) -> bool:
        return other[:axis] + other[axis + 1 :] == shape[:axis] + shape[axis + 1 :]

    others = [builder.newest(len(shape), fits=fits) for _ in range(builder.between(1, 2))]
    builder.emit(ops.Concat, first, *others, axis=axis)


def transposition(builder: GraphBuilder) -> None:
    source = builder.newest(3, 2)
    orders = list(permutations(range(len(builder.shape(source)))))[1:]
    builder.emit(ops.Transpose, source, order=builder.one_of(*orders))


def choice(builder: GraphBuilder) -> None:
    """Add a choice of indices along an axis: repeated, reflected, reversed, or in any order."""
    source = builder.newest(3, 1, 2)
    shape = builder.shape(source)
    axis = builder.between(0, len(shape) - 1)
    length = shape[axis]
    positions = builder.one_of(
        np.arange(length).repeat(2),
        np.arange(length)[::-1],
        np.pad(np.arange(length), min(2, length - 1), mode="reflect"),
        np.pad(np.arange(length), 1, mode="edge"),
        random_positions(builder, length),
    )
    indices = tuple(int(position) for position in positions)
    builder.emit(ops.Take, source, positions=tuple(indices if a == axis else None for a in range(len(shape))))


def random_positions(builder: GraphBuilder, length: int) -> np.ndarray:
    return builder.random.integers(0, length, builder.between(1, 2 * length))


def upsampling(builder: GraphBuilder) -> None:
    """Add nearest upsampling by whole factors, or bilinear upsampling to any size."""
    source = builder.newest(3)
    channels, *sides = builder.shape(source)
    if builder.one_of(True, False):
        times = (builder.between(1, 3), builder.between(1, 3))
        positions = (tuple(np.arange(n).repeat(k).tolist()) for n, k in zip(sides, times, strict=True))
        builder.emit(ops.Take, source, positions=(None, *positions))
        return
    size = tuple(builder.one_of(2 * n, n, builder.between(1, 9)) for n in sides)
    builder.emit(ops.Resize, source, shape=(channels, *size), align_corners=builder.one_of(False, True))


def reshape(builder: GraphBuilder) -> None:
    """Add a reshape to a vector or to any other shape of as many values, in torch's order."""
    source = builder.newest(3, 2, 1)
    elements = prod(builder.shape(source))
    shape: list[int] = []
    for _ in range(builder.between(0, 2)):
        shape.append(builder.one_of(*(n for n in range(1, elements + 1) if elements % n == 0)))
        elements //= shape[-1]
    assume((*shape, elements) != builder.shape(source))
    builder.emit(ops.Reshape, source, shape=(*shape, elements))


def attention(builder: GraphBuilder) -> None:
    """Add self-attention over the rows of a matrix: products, softmax, products."""
    source = builder.newest(2, fits=lambda shape: shape[0] > 1)
    width = builder.shape(source)[1]
    scores = builder.emit(ops.MatMul, source, source, transpose_b=True)
    shares = builder.emit(ops.Softmax, scores, beta=builder.one_of(1 / sqrt(width), 1.0, 0.01))
    builder.emit(ops.MatMul, shares, source)


def matmul(builder: GraphBuilder) -> None:
    """Add the product of two matrices, each of which may be transposed."""
    first = builder.newest(2)
    rows, columns = builder.shape(first)
    transpose_a = builder.one_of(False, True)
    inner = rows if transpose_a else columns
    transpose_b = builder.one_of(True, False)
    second = builder.newest(2, fits=lambda shape: shape[1 if transpose_b else 0] == inner)
    builder.emit(ops.MatMul, first, second, transpose_a=transpose_a, transpose_b=transpose_b)


def softmax(builder: GraphBuilder) -> None:
    source = builder.newest(1, 2, 3, fits=lambda shape: shape[-1] > 1)
    builder.emit(ops.Softmax, source, beta=builder.one_of(1.0, 0.1))


def layer_norm(builder: GraphBuilder) -> None:
    source = builder.newest(1, 2, fits=lambda shape: shape[-1] > 1)
    width = builder.shape(source)[-1]
    builder.emit(ops.LayerNorm, source, weight=builder.normal(width), bias=builder.normal(width))


def group_norm(builder: GraphBuilder) -> None:
    """Add a group norm with groups of any number of channels, on images, frames or a vector."""
    source = builder.newest(3, 2, 1)
    channels = builder.shape(source)[0]
    builder.emit(
        ops.GroupNorm,
        source,
        weight=builder.normal(channels),
        bias=builder.normal(channels),
        groups=builder.one_of(*(groups for groups in range(1, channels + 1) if channels % groups == 0)),
    )


def embedding(builder: GraphBuilder) -> None:
    rows = builder.between(1, 9)
    tokens = builder.tokens(builder.between(1, 6), rows)
    builder.emit(ops.Embedding, tokens, weight=builder.normal(rows, builder.between(1, 8)))


STROKES: dict[str, tuple[RandomOperator, ...]] = {
    "convolutions": (convolution, transposed_convolution, linear, norm, group_norm),
    "branches": (binary, repeated, concatenation),
    "values": (relu, function, prelu),
    "windows": (pool, mean),
    "movement": (pad, cut, reshape, transposition, choice, concatenation),
    "sizes": (upsampling, pool, concatenation),
    "sequences": (linear, attention, matmul, softmax, layer_norm, embedding),
}
"""The operators of each theme, from which half of its graphs' operators are drawn."""
ALL_OPERATORS = tuple(dict.fromkeys(stroke for strokes in STROKES.values() for stroke in strokes))


@st.composite
def graphs(draw: Callable[[st.SearchStrategy[Any]], Any], theme: str, longest: int = 6) -> Drawn:
    """Draw graphs of a theme, mixed with operators of the others."""
    builder = GraphBuilder(draw)
    if theme == "sequences":
        builder.input((builder.between(1, 6), builder.between(1, 8)))
    else:
        builder.input((builder.between(1, 6), builder.between(1, 8), builder.between(1, 8)))
    shape = builder.one_of((), (3, 7, 7), (12,), (4, 6))
    if shape:
        builder.input(shape)
    for _ in range(builder.between(1, longest)):
        operators = STROKES[theme] if builder.one_of(True, False) else ALL_OPERATORS
        builder.one_of(*operators)(builder)
    return builder.build()
