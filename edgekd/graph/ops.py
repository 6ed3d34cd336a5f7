"""The operators of the graph; every other file here says what to do with each of them."""

from dataclasses import dataclass

from edgekd.graph.structure import Activation, Array, Operator, Quantization, Weighted

Padding = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True)
class Conv2d(Weighted):
    """weight: (out, in / groups, kernel height, kernel width); bias: (out,)."""

    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def depthwise(self) -> bool:
        """One filter (or a few) for each input channel."""
        return self.groups > 1 and self.weight.shape[1] == 1


@dataclass(frozen=True)
class ConvTranspose2d(Weighted):
    """weight: (out, in / groups, kernel height, kernel width), outputs first as everywhere here; bias: (out,).

    Attributes:
        padding: rows cut from top and bottom, columns from left and right, of the full result.
        output_padding: rows and columns that are cut less at the bottom and on the right; -1 cuts one more, as
            TFLite's SAME does.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    output_padding: tuple[int, int] = (0, 0)
    groups: int = 1


@dataclass(frozen=True)
class Linear(Weighted):
    """weight: (out, in); bias: (out,). It works on the last axis: (in,) or (T, in)."""


@dataclass(frozen=True)
class Add(Operator):
    """Two tensors of one rank; the second is repeated along axes in which its length is 1."""

    activation: Activation = "none"


@dataclass(frozen=True)
class Sub(Operator):
    """The first tensor less the second; either may be repeated along axes in which its length is 1."""

    activation: Activation = "none"


@dataclass(frozen=True)
class Mul(Operator):
    """Two tensors, value by value; the second is repeated along axes in which its length is 1."""

    activation: Activation = "none"


@dataclass(frozen=True)
class Relu(Operator):
    """An activation that no operator before it could take in; its output is on its input's scale."""

    activation: Activation = "relu"


@dataclass(frozen=True)
class Unary(Operator):
    """A function of one value, by its name in `operators.unary.FUNCTIONS`: on codes, a table of 256 of them.

    Attributes:
        table: int8, by the input's code from -128 on, where the kernels have no such function and the table ships.
        real: TFLite's file computes it on real values, between DEQUANTIZE and QUANTIZE.
    """

    function: str
    alpha: float = 0.0
    table: Array | None = None
    real: bool = False


@dataclass(frozen=True)
class Prelu(Operator):
    """x where it is positive, else x times the channel's slope: (C,) along the first axis.

    In a quantised graph `slope` holds int8 codes on `slope_scale`.
    """

    parameters = ("slope",)

    slope: Array
    slope_scale: float = 0.0


@dataclass(frozen=True)
class GlobalAveragePool(Operator):
    """The mean over height and width: (C, H, W) -> (C,)."""


@dataclass(frozen=True)
class Mean(Operator):
    """The mean over some axes of the shape, which leave it."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class MaxPool2d(Operator):
    """Padding never wins: it stands for the lowest value."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True)
class AveragePool2d(Operator):
    """Padding is not counted (torch's `count_include_pad` is a Pad before); its output is on its input's scale."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True)
class Pad(Operator):
    """A value around, zero by default: (before, after) for each axis of the shape."""

    amounts: tuple[tuple[int, int], ...]
    value: float = 0.0


@dataclass(frozen=True)
class Slice(Operator):
    """(begin, end, step) for each axis of the shape."""

    ranges: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Reshape(Operator):
    """To the output's shape, in torch's (channel-first) order."""


@dataclass(frozen=True)
class Transpose(Operator):
    """Axis k of the output is the input's axis order[k]; the batch is not counted."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Concat(Operator):
    """Tensors on one scale, one after the other along an axis; the batch is not counted."""

    axis: int


@dataclass(frozen=True)
class Take(Operator):
    """The positions that are taken along each axis, in their order; None takes an axis as it is.

    Nearest-neighbour resizing, padding that reflects or repeats, flips, repeats and choices by index all are this.
    """

    positions: tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class Resize(Operator):
    """Bilinear, (C, H, W) to the output's height and width.

    Attributes:
        align_corners: pixels are points, and the corner points stay where they are; else they are areas.
    """

    align_corners: bool = False


@dataclass(frozen=True)
class Requantize(Operator):
    """The same real values on another scale; in a float graph it changes nothing."""


@dataclass(frozen=True)
class Constant(Operator):
    """Values that stand in the model, as an operand: no inputs; `value` has the output's shape (the batch is one).

    In a quantised graph `value` holds int8 codes on the output's scale.
    """

    parameters = ("value",)

    value: Array


@dataclass(frozen=True)
class MatMul(Operator):
    """Two tensors, (..., n, k) and (..., k, m) -> (..., n, m), each matrix by itself.

    Attributes:
        transpose_a, transpose_b: the operand comes with its last two axes swapped.
    """

    transpose_a: bool = False
    transpose_b: bool = False


@dataclass(frozen=True)
class Softmax(Operator):
    """Over the last axis, of the values times `beta`; shares of a whole, so its output is on the scale 1/256."""

    beta: float = 1.0


@dataclass(frozen=True)
class LayerNorm(Operator):
    """Over the last axis: (x - mean) / sqrt(variance + epsilon) * weight + bias; weight, bias: (width,).

    No runtime has an integer kernel for it: it takes codes and gives codes, and computes on real values in between.
    Weight and bias stay float32.
    """

    parameters = ("weight", "bias")

    weight: Array
    bias: Array
    epsilon: float = 1e-5


@dataclass(frozen=True)
class Embedding(Operator):
    """Rows of a table, chosen by indices: (...) -> (..., width); weight: (rows, width), int8 on the output's scale."""

    parameters = ("weight",)

    weight: Array


@dataclass(frozen=True)
class Dequantize(Operator):
    """Codes to real values: the way into a float island; in a float graph it changes nothing."""


@dataclass(frozen=True)
class Quantize(Operator):
    """Real values to codes: the way out of a float island; in a float graph it changes nothing."""


SAME_SCALE = (Relu, MaxPool2d, AveragePool2d, Pad, Slice, Reshape, Transpose, Concat, Take, Resize)
"""Operators whose output has the scale and zero point of their inputs, so that no kernel has to rescale."""

STORED = (Constant, Embedding)
"""Operators whose output holds values of their first parameter, and has the range of it."""

SATURATING = {"sigmoid": Quantization(1 / 256, -128), "tanh": Quantization(1 / 128, 0)}
"""Function of a Unary -> the scale and zero point that TFLite demands of its output."""
