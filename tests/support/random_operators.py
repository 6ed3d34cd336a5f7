"""What graphs are drawn with: each stroke adds an operator or a few, in any setting, behind a tensor that fits."""

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
from support.random_graphs import ACTIVATIONS, Drawn, Sketch

Stroke = Callable[[Sketch], None]


def convolution(sketch: Sketch) -> None:
    """Any kernel, stride, dilation and padding; dense, in groups, or depthwise with a multiplier."""
    source = sketch.newest(3)
    channels, *sides = sketch.shape(source)
    groups = sketch.one_of(*dict.fromkeys((1, channels, *(g for g in range(2, channels) if channels % g == 0))))
    outputs = groups * sketch.between(1, 6 if groups < channels else 3)
    kernel = (sketch.between(1, 4), sketch.between(1, 4))
    dilation = (sketch.between(1, 2), sketch.between(1, 2))
    padding: list[int] = []
    for side, size, gap in zip(sides, kernel, dilation, strict=True):
        reach = gap * (size - 1)
        least = max(0, reach + 1 - side)
        before = sketch.between(0, max(least, reach))
        padding += [before, sketch.between(max(0, least - before), max(least, reach))]
    sketch.emit(
        ops.Conv2d,
        source,
        **sketch.weights(outputs, channels // groups, *kernel),
        stride=(sketch.between(1, 3), sketch.between(1, 3)),
        padding=tuple(padding),
        dilation=dilation,
        groups=groups,
        activation=sketch.one_of(*ACTIVATIONS),
    )


def transposed_convolution(sketch: Sketch) -> None:
    """Any kernel and stride; what is cut off is less than the kernel, what is cut less is less than the stride."""
    source = sketch.newest(3)
    channels = sketch.shape(source)[0]
    kernel = (sketch.between(1, 4), sketch.between(1, 4))
    stride = (sketch.between(1, 3), sketch.between(1, 3))
    # Nothing may be left of a single pixel's kernel: padding on both sides together is less than it.
    padding = tuple(sketch.between(0, (size - 1) // 2) for size in kernel)
    sketch.emit(
        ops.ConvTranspose2d,
        source,
        **sketch.weights(sketch.between(1, 6), channels, *kernel),
        stride=stride,
        padding=padding,
        output_padding=tuple(sketch.between(0, step - 1) for step in stride),
        activation=sketch.one_of(*ACTIVATIONS),
    )


def linear(sketch: Sketch) -> None:
    """On a vector, or on each row of a matrix."""
    source = sketch.newest(1, 2)
    weights = sketch.weights(sketch.between(1, 12), sketch.shape(source)[-1])
    sketch.emit(ops.Linear, source, **weights, activation=sketch.one_of(*ACTIVATIONS))


def norm(sketch: Sketch) -> None:
    """A scale and a shift for each channel."""
    source = sketch.newest(3, 1, 2)
    channels = sketch.shape(source)[0]
    scale = sketch.normal(channels) * sketch.one_of(1, 0.01, 0)
    sketch.emit(BatchNorm, source, scale=scale.astype(np.float32), shift=sketch.normal(channels))


def binary(sketch: Sketch) -> None:
    """A tensor and another of its shape, which may be itself."""
    first = sketch.newest(3, 1, 2)
    second = sketch.newest(len(sketch.shape(first)), fits=lambda shape: shape == sketch.shape(first))
    kind = sketch.one_of(ops.Add, ops.Sub, ops.Mul)
    sketch.emit(kind, first, second, activation=sketch.one_of(*ACTIVATIONS))


def repeated(sketch: Sketch) -> None:
    """Each channel with a number of its own, computed (squeeze-and-excite) or stored."""
    source = sketch.newest(3)
    channels = sketch.shape(source)[0]
    if sketch.one_of(True, False):
        pooled = sketch.emit(ops.GlobalAveragePool, source)
        factor = sketch.emit(ops.Reshape, pooled, shape=(channels, 1, 1))
    else:
        factor = sketch.emit(ops.Constant, value=sketch.normal(channels, 1, 1))
    kind = sketch.one_of(ops.Mul, ops.Add, ops.Sub)
    sketch.emit(kind, source, factor, activation=sketch.one_of(*ACTIVATIONS))


def relu(sketch: Sketch) -> None:
    sketch.emit(ops.Relu, sketch.newest(3, 1, 2), activation=sketch.one_of("relu", "relu6"))


def function(sketch: Sketch) -> None:
    """Any function of one value."""
    alpha = sketch.one_of(0.01, 1.0, 0.3)
    sketch.emit(ops.Unary, sketch.newest(3, 1, 2), function=sketch.one_of(*FUNCTIONS), alpha=alpha)


def prelu(sketch: Sketch) -> None:
    source = sketch.newest(3)
    slope = sketch.normal(sketch.shape(source)[0]) * sketch.one_of(0.25, 1, 0)
    sketch.emit(ops.Prelu, source, slope=slope.astype(np.float32))


def pool(sketch: Sketch) -> None:
    """Max or average, over any window, with any padding that leaves each window something."""
    source = sketch.newest(3)
    kernel, padding = [], list[int]()
    for side in sketch.shape(source)[1:]:
        kernel.append(sketch.between(1, min(4, side)))
        padding += [sketch.between(0, (kernel[-1] - 1) // 2), sketch.between(0, (kernel[-1] - 1) // 2)]
    sketch.emit(
        sketch.one_of(ops.MaxPool2d, ops.AveragePool2d),
        source,
        kernel=tuple(kernel),
        stride=(sketch.between(1, 3), sketch.between(1, 3)),
        padding=tuple(padding),
    )


def mean(sketch: Sketch) -> None:
    """Over height and width, or over any other axes."""
    source = sketch.newest(3, 2)
    rank = len(sketch.shape(source))
    if rank == 3 and sketch.one_of(True, False):
        sketch.emit(ops.GlobalAveragePool, source)
        return
    every = [tuple(a for a in range(rank) if number >> a & 1) for number in range(1, 2**rank)]
    sketch.emit(ops.Mean, source, axes=sketch.one_of(*(axes for axes in every if len(axes) < rank and axes != (1, 2))))


def pad(sketch: Sketch) -> None:
    """Zeros on any side of any axis."""
    source = sketch.newest(3, 1, 2)
    amounts = tuple((sketch.between(0, 2), sketch.between(0, 2)) for _ in sketch.shape(source))
    sketch.emit(ops.Pad, source, amounts=amounts)


def cut(sketch: Sketch) -> None:
    """A slice with steps along any axis."""
    source = sketch.newest(3, 1, 2)
    ranges = []
    for side in sketch.shape(source):
        begin = sketch.between(0, side - 1)
        ranges.append((begin, sketch.between(begin + 1, side), sketch.between(1, 2)))
    sketch.emit(ops.Slice, source, ranges=tuple(ranges))


def concatenation(sketch: Sketch) -> None:
    """Two or three tensors along an axis in which they may differ, of whatever scales."""
    first = sketch.newest(3, 1, 2)
    shape = sketch.shape(first)
    axis = sketch.between(0, len(shape) - 1)

    def fits(other: tuple[int, ...]) -> bool:
        return other[:axis] + other[axis + 1 :] == shape[:axis] + shape[axis + 1 :]

    others = [sketch.newest(len(shape), fits=fits) for _ in range(sketch.between(1, 2))]
    sketch.emit(ops.Concat, first, *others, axis=axis)


def transposition(sketch: Sketch) -> None:
    source = sketch.newest(3, 2)
    orders = list(permutations(range(len(sketch.shape(source)))))[1:]
    sketch.emit(ops.Transpose, source, order=sketch.one_of(*orders))


def choice(sketch: Sketch) -> None:
    """Repeated, reflected, turned round, or in any order."""
    source = sketch.newest(3, 1, 2)
    shape = sketch.shape(source)
    axis = sketch.between(0, len(shape) - 1)
    length = shape[axis]
    positions = sketch.one_of(
        np.arange(length).repeat(2),
        np.arange(length)[::-1],
        np.pad(np.arange(length), min(2, length - 1), mode="reflect"),
        np.pad(np.arange(length), 1, mode="edge"),
        self_chosen(sketch, length),
    )
    taken = tuple(int(position) for position in positions)
    sketch.emit(ops.Take, source, positions=tuple(taken if a == axis else None for a in range(len(shape))))


def self_chosen(sketch: Sketch, length: int) -> np.ndarray:
    return sketch.random.integers(0, length, sketch.between(1, 2 * length))


def upsampling(sketch: Sketch) -> None:
    """Nearest, by whole factors, or bilinear, to any size."""
    source = sketch.newest(3)
    channels, *sides = sketch.shape(source)
    if sketch.one_of(True, False):
        times = (sketch.between(1, 3), sketch.between(1, 3))
        positions = (tuple(np.arange(n).repeat(k).tolist()) for n, k in zip(sides, times, strict=True))
        sketch.emit(ops.Take, source, positions=(None, *positions))
        return
    size = tuple(sketch.one_of(2 * n, n, sketch.between(1, 9)) for n in sides)
    sketch.emit(ops.Resize, source, shape=(channels, *size), align_corners=sketch.one_of(False, True))


def reshape(sketch: Sketch) -> None:
    """Flat, or any other shape of as many values, in torch's order."""
    source = sketch.newest(3, 2, 1)
    elements = prod(sketch.shape(source))
    shape: list[int] = []
    for _ in range(sketch.between(0, 2)):
        shape.append(sketch.one_of(*(n for n in range(1, elements + 1) if elements % n == 0)))
        elements //= shape[-1]
    assume((*shape, elements) != sketch.shape(source))
    sketch.emit(ops.Reshape, source, shape=(*shape, elements))


def attention(sketch: Sketch) -> None:
    """Each row of a matrix beside all others: products, shares, products."""
    source = sketch.newest(2, fits=lambda shape: shape[0] > 1)
    width = sketch.shape(source)[1]
    scores = sketch.emit(ops.MatMul, source, source, transpose_b=True)
    shares = sketch.emit(ops.Softmax, scores, beta=sketch.one_of(1 / sqrt(width), 1.0, 0.01))
    sketch.emit(ops.MatMul, shares, source)


def matmul(sketch: Sketch) -> None:
    """Two matrices, either of which may come transposed."""
    first = sketch.newest(2)
    rows, columns = sketch.shape(first)
    transpose_a = sketch.one_of(False, True)
    inner = rows if transpose_a else columns
    transpose_b = sketch.one_of(True, False)
    second = sketch.newest(2, fits=lambda shape: shape[1 if transpose_b else 0] == inner)
    sketch.emit(ops.MatMul, first, second, transpose_a=transpose_a, transpose_b=transpose_b)


def softmax(sketch: Sketch) -> None:
    source = sketch.newest(1, 2, 3, fits=lambda shape: shape[-1] > 1)
    sketch.emit(ops.Softmax, source, beta=sketch.one_of(1.0, 0.1))


def layer_norm(sketch: Sketch) -> None:
    source = sketch.newest(1, 2, fits=lambda shape: shape[-1] > 1)
    width = sketch.shape(source)[-1]
    sketch.emit(ops.LayerNorm, source, weight=sketch.normal(width), bias=sketch.normal(width))


def group_norm(sketch: Sketch) -> None:
    """Groups of any number of channels, over images, frames or a vector."""
    source = sketch.newest(3, 2, 1)
    channels = sketch.shape(source)[0]
    sketch.emit(
        ops.GroupNorm,
        source,
        weight=sketch.normal(channels),
        bias=sketch.normal(channels),
        groups=sketch.one_of(*(groups for groups in range(1, channels + 1) if channels % groups == 0)),
    )


def embedding(sketch: Sketch) -> None:
    rows = sketch.between(1, 9)
    tokens = sketch.tokens(sketch.between(1, 6), rows)
    sketch.emit(ops.Embedding, tokens, weight=sketch.normal(rows, sketch.between(1, 8)))


STROKES: dict[str, tuple[Stroke, ...]] = {
    "convolutions": (convolution, transposed_convolution, linear, norm, group_norm),
    "branches": (binary, repeated, concatenation),
    "values": (relu, function, prelu),
    "windows": (pool, mean),
    "movement": (pad, cut, reshape, transposition, choice, concatenation),
    "sizes": (upsampling, pool, concatenation),
    "sequences": (linear, attention, matmul, softmax, layer_norm, embedding),
}
"""What each theme draws most of."""
ALL = tuple(dict.fromkeys(stroke for strokes in STROKES.values() for stroke in strokes))


@st.composite
def graphs(draw: Callable[[st.SearchStrategy[Any]], Any], theme: str, longest: int = 6) -> Drawn:
    """Graphs of a theme, with strokes of others in between."""
    sketch = Sketch(draw)
    if theme == "sequences":
        sketch.input((sketch.between(1, 6), sketch.between(1, 8)))
    else:
        sketch.input((sketch.between(1, 6), sketch.between(1, 8), sketch.between(1, 8)))
    shape = sketch.one_of((), (3, 7, 7), (12,), (4, 6))
    if shape:
        sketch.input(shape)
    for _ in range(sketch.between(1, longest)):
        strokes = STROKES[theme] if sketch.one_of(True, False) else ALL
        sketch.one_of(*strokes)(sketch)
    return sketch.finished()
