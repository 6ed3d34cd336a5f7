"""The operators of the graph, each with what is particular to it; every other file here says what to do with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from edgekd.graph import windows
from edgekd.graph.structure import (
    QMAX,
    QMIN,
    Activation,
    Array,
    Operator,
    Quantization,
    Tensor,
    Weighted,
    WithActivation,
)
from edgekd.graph.windows import Named, Padding, Pair

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Conv2d(Weighted):
    """weight: (out, in / groups, kernel height, kernel width); bias: (out,)."""

    absorbs_shift = True

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def kernel(self) -> Pair:
        """(height, width)"""
        height, width = self.weight.shape[2:]
        return height, width

    @property
    def depthwise(self) -> bool:
        """One filter (or a few) for each input channel."""
        return self.groups > 1 and self.weight.shape[1] == 1

    @property
    def title(self) -> str:
        """conv2d 3x3, depthwise 3x3 /2"""
        kind, (height, width) = "depthwise" if self.depthwise else "conv2d", self.kernel
        return f"{kind} {height}x{width}{'' if self.stride == (1, 1) else f' /{self.stride[0]}'}"

    def macs(self, tensors: Tensors) -> int:
        """Each weight once for every place of the output."""
        return int(self.weight.size) * prod(tensors[self.output].shape[1:])

    def tflite_padding(self, shape: tuple[int, ...]) -> Named | None:
        """TFLite's name for the padding of an input of (C, H, W); None where it has none."""
        return windows.tflite_padding((shape[1], shape[2]), self.kernel, self.stride, self.padding, self.dilation)

    def copied_elements(self, tensors: Tensors) -> int:
        """The padded input."""
        shape = tensors[self.inputs[0]].shape
        return 0 if self.tflite_padding(shape) else windows.padded_elements(shape, self.padding)


@dataclass(frozen=True)
class ConvTranspose2d(Weighted):
    """weight: (out, in / groups, kernel height, kernel width), outputs first as everywhere here; bias: (out,).

    Attributes:
        padding: rows cut from top and bottom, columns from left and right, of the full result.
        output_padding: rows and columns that are cut less at the bottom and on the right; -1 cuts one more, as
            TFLite's SAME does.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    output_padding: Pair = (0, 0)
    groups: int = 1

    @property
    def kernel(self) -> Pair:
        """(height, width)"""
        height, width = self.weight.shape[2:]
        return height, width

    def macs(self, tensors: Tensors) -> int:
        """Each of the input's values meets every weight that reads its channel."""
        outputs, _, height, width = self.weight.shape
        return int(outputs // self.groups * height * width) * tensors[self.inputs[0]].elements

    def tflite_padding(self, size: Pair) -> Named | None:
        """TFLite's name for the padding on an image of `size`; None where more is to be cut off."""
        return windows.tflite_transposed_padding(size, self.kernel, self.stride, self.padding, self.output_padding)

    def uncut_size(self, size: Pair, out: Pair) -> Pair:
        """(height, width) of the full result, which is cut down to `out`, on an image of `size`."""
        return windows.uncut_size(size, out, self.kernel, self.stride, self.padding)

    def copied_elements(self, tensors: Tensors) -> int:
        """The uncut output."""
        (_, *size), (channels, *out) = tensors[self.inputs[0]].shape, tensors[self.output].shape
        if self.tflite_padding((size[0], size[1])):
            return 0
        return channels * prod(self.uncut_size((size[0], size[1]), (out[0], out[1])))


@dataclass(frozen=True)
class Linear(Weighted):
    """weight: (out, in); bias: (out,). It works on the last axis: (in,) or (T, in)."""

    channel_axis = -1
    absorbs_shift = True

    def macs(self, tensors: Tensors) -> int:
        """Each weight once for every row."""
        return int(self.weight.size) * prod(tensors[self.output].shape[:-1])


@dataclass(frozen=True)
class TwoOperands(WithActivation):
    """Two tensors of one rank, value by value; either may be repeated along axes in which its length is 1."""

    frames_as_images = True
    int16 = True


@dataclass(frozen=True)
class Add(TwoOperands):
    """The sum; where one is repeated it is the second."""


@dataclass(frozen=True)
class Sub(TwoOperands):
    """The first tensor less the second."""


@dataclass(frozen=True)
class Mul(TwoOperands):
    """The product; where one is repeated it is the second."""

    multiplies = True


@dataclass(frozen=True)
class Relu(Operator):
    """An activation that no operator before it could take in; its output is on its input's scale."""

    same_scale = True
    frames_as_images = True
    int16 = True

    activation: Activation = "relu"

    @property
    def title(self) -> str:
        """relu, relu6"""
        return self.activation


SATURATING = {"sigmoid": Quantization(1 / 256, QMIN), "tanh": Quantization(1 / 128, 0)}
"""Function of a Unary -> the scale and zero point that TFLite demands of its output."""


@dataclass(frozen=True)
class Unary(Operator):
    """A function of one value, by its name in `operators.unary.FUNCTIONS`: on codes, a table of 256 of them.

    Attributes:
        table: int8, by the input's code from -128 on, where the kernels have no such function and the table ships.
        real: TFLite's file computes it on real values, between DEQUANTIZE and QUANTIZE.
    """

    arrays = ("table",)
    frames_as_images = True

    function: str
    alpha: float = 0.0
    table: Array | None = None
    real: bool = False

    @property
    def title(self) -> str:
        """sigmoid, hard swish, ..."""
        return self.function.replace("_", " ")

    @property
    def real_inside(self) -> bool:
        """Where `real`."""
        return self.real

    @property
    def fixed_output(self) -> Quantization | None:
        """That of a function that saturates."""
        return SATURATING.get(self.function)

    def scratch_bytes(self, tensors: Tensors) -> int:
        """Codes, then rows of the table, as int32."""
        return 0 if self.table is None else 2 * 4 * tensors[self.output].elements


@dataclass(frozen=True)
class Prelu(Operator):
    """x where it is positive, else x times the channel's slope: (C,) along the first axis.

    In a quantised graph `slope` holds int8 codes on `slope_scale`.
    """

    parameters = ("slope",)
    frames_as_images = True

    slope: Array
    slope_scale: float = 0.0


@dataclass(frozen=True)
class GlobalAveragePool(Operator):
    """The mean over height and width: (C, H, W) -> (C,)."""

    moves = True
    int16 = True


@dataclass(frozen=True)
class Mean(Operator):
    """The mean over some axes of the shape, which leave it."""

    int16 = True

    axes: tuple[int, ...]


@dataclass(frozen=True)
class MaxPool2d(Operator):
    """Padding never wins: it stands for the lowest value."""

    same_scale = True
    moves = True
    int16 = True

    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)

    def tflite_padding(self, shape: tuple[int, ...]) -> Named | None:
        """TFLite's name for the padding of an input of (C, H, W); None where it has none."""
        return windows.tflite_padding((shape[1], shape[2]), self.kernel, self.stride, self.padding)

    def copied_elements(self, tensors: Tensors) -> int:
        """The padded input."""
        shape = tensors[self.inputs[0]].shape
        return 0 if self.tflite_padding(shape) else windows.padded_elements(shape, self.padding)


@dataclass(frozen=True)
class AveragePool2d(Operator):
    """Padding is not counted (torch's `count_include_pad` is a Pad before); its output is on its input's scale."""

    same_scale = True
    moves = True
    int16 = True

    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)

    def tflite_padding(self, shape: tuple[int, ...]) -> Named | None:
        """TFLite's name for the padding of an input of (C, H, W); None where it has none."""
        return windows.tflite_padding((shape[1], shape[2]), self.kernel, self.stride, self.padding)

    def cells(self, size: Pair) -> Array:
        """How many cells of an image of `size` each window covers: (out height, out width), int64."""
        return windows.cells(size, self.kernel, self.stride, self.padding)

    def copied_elements(self, tensors: Tensors) -> int:
        """The averages around every cell, of which some are taken."""
        source = tensors[self.inputs[0]]
        return 0 if self.tflite_padding(source.shape) else source.elements


@dataclass(frozen=True)
class Pad(Operator):
    """A value around, zero by default: (before, after) for each axis of the shape."""

    same_scale = True
    int16 = True

    amounts: tuple[Pair, ...]
    value: float = 0.0

    @property
    def own_values(self) -> tuple[float, ...]:
        """The value around, but zero, which every scale covers."""
        return (self.value,) if self.value else ()


@dataclass(frozen=True)
class Slice(Operator):
    """(begin, end, step) for each axis of the shape."""

    same_scale = True
    moves = True
    int16 = True

    ranges: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Reshape(Operator):
    """To the output's shape, in torch's (channel-first) order."""

    same_scale = True
    moves = True
    view = True
    int16 = True


@dataclass(frozen=True)
class Transpose(Operator):
    """Axis k of the output is the input's axis order[k]; the batch is not counted."""

    same_scale = True
    moves = True
    view = True
    int16 = True

    order: tuple[int, ...]


@dataclass(frozen=True)
class Concat(Operator):
    """Tensors on one scale, one after the other along an axis; the batch is not counted."""

    same_scale = True
    int16 = True

    axis: int


@dataclass(frozen=True)
class Take(Operator):
    """The positions that are taken along each axis, in their order; None takes an axis as it is.

    Nearest-neighbour resizing, padding that reflects or repeats, flips, repeats and choices by index all are this.
    """

    same_scale = True

    positions: tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class Resize(Operator):
    """Bilinear, (C, H, W) to the output's height and width.

    Attributes:
        align_corners: pixels are points, and the corner points stay where they are; else they are areas.
    """

    same_scale = True

    align_corners: bool = False


@dataclass(frozen=True)
class Requantize(Operator):
    """The same real values on another scale; in a float graph it changes nothing."""

    boundary = True


@dataclass(frozen=True)
class Constant(Operator):
    """Values that stand in the model, as an operand: no inputs; `value` has the output's shape (the batch is one).

    In a quantised graph `value` holds int8 codes on the output's scale.
    """

    parameters = ("value",)
    stored = True
    free_scale = True

    value: Array


@dataclass(frozen=True)
class MatMul(Operator):
    """Two tensors, (..., n, k) and (..., k, m) -> (..., n, m), each matrix by itself.

    XNNPACK has kernels for no other zero point of the second than code 0; LiteRT's own take more than twice the time
    of a whole text encoder.

    Attributes:
        transpose_a, transpose_b: the operand comes with its last two axes swapped.
    """

    multiplies = True
    symmetric_inputs = (1,)

    transpose_a: bool = False
    transpose_b: bool = False

    def macs(self, tensors: Tensors) -> int:
        """n * k * m, for each matrix."""
        return tensors[self.output].elements * tensors[self.inputs[0]].shape[-2 if self.transpose_a else -1]


LEAST_SOFTMAX_STEP = 2.0**-25
"""Of the input times beta: TFLite Micro ends the process at 2^-26 and below."""


@dataclass(frozen=True)
class Softmax(Operator):
    """Over the last axis, of the values times `beta`; shares of a whole, so its output is on the scale 1/256."""

    beta: float = 1.0

    @property
    def fixed_output(self) -> Quantization | None:
        """Shares of 256."""
        return Quantization(1 / 256, QMIN)

    @property
    def least_input_span(self) -> float:
        """So wide that no step times beta is below LEAST_SOFTMAX_STEP."""
        return (QMAX - QMIN) * LEAST_SOFTMAX_STEP / self.beta


@dataclass(frozen=True)
class Normalisation(Operator):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias.

    No runtime has an integer kernel for it: it takes codes and gives codes, and computes on real values in between.
    Weight and bias stay float32.
    """

    parameters = ("weight", "bias")
    free_scale = True

    weight: Array
    bias: Array
    epsilon: float = 1e-5

    @property
    def real_inside(self) -> bool:
        """Always."""
        return True

    def scratch_bytes(self, tensors: Tensors) -> int:
        """Two tensors of real values at a time."""
        return 2 * 4 * tensors[self.output].elements


@dataclass(frozen=True)
class LayerNorm(Normalisation):
    """Over the last axis; weight, bias: (width,)."""


@dataclass(frozen=True)
class GroupNorm(Normalisation, WithActivation):
    """Over groups of neighbouring channels with all their places (Wu and He, 2018): (C, ...); weight, bias: (C,)."""

    frames_as_images = True

    groups: int = 1


@dataclass(frozen=True)
class Embedding(Operator):
    """Rows of a table, chosen by indices: (...) -> (..., width); weight: (rows, width), int8 on the output's scale."""

    parameters = ("weight",)
    stored = True
    free_scale = True

    weight: Array


@dataclass(frozen=True)
class Dequantize(Operator):
    """Codes to real values: the way into a float island; in a float graph it changes nothing."""

    boundary = True


@dataclass(frozen=True)
class Quantize(Operator):
    """Real values to codes: the way out of a float island; in a float graph it changes nothing."""

    boundary = True
    free_scale = True
