"""The operators of the graph, with their fields and traits; the other rooms say how each is computed and written."""

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
from edgekd.graph.windows import Padding, PaddingName, Pair

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Convolution(Weighted):
    """A convolution over images: the two operators below, whose weights have two axes for the kernel."""

    stride: Pair = (1, 1)

    @property
    def kernel(self) -> Pair:
        """The (height, width) of a filter."""
        height, width = self.weight.shape[2:]
        return height, width


@dataclass(frozen=True)
class Conv2d(Convolution):
    """A convolution with weight (out, in / groups, kernel height, kernel width) and bias (out,)."""

    absorbs_shift = True

    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def depthwise(self) -> bool:
        """Does each filter see one input channel alone?"""
        return self.groups > 1 and self.weight.shape[1] == 1

    @property
    def title(self) -> str:
        """Kind, kernel size and stride: "conv2d 3x3", "depthwise 3x3 /2"."""
        kind, (height, width) = "depthwise" if self.depthwise else "conv2d", self.kernel
        return f"{kind} {height}x{width}{'' if self.stride == (1, 1) else f' /{self.stride[0]}'}"

    def macs(self, tensors: Tensors) -> int:
        """Each weight is multiplied once for every position of the output."""
        return int(self.weight.size) * prod(tensors[self.output].shape[1:])

    def tflite_padding(self, shape: tuple[int, ...]) -> PaddingName | None:
        """TFLite's name for the padding of an input of (C, H, W), or None where it has none."""
        return windows.tflite_padding((shape[1], shape[2]), self.kernel, self.stride, self.padding, self.dilation)

    def copied_elements(self, tensors: Tensors) -> int:
        """The elements of the padded input."""
        shape = tensors[self.inputs[0]].shape
        return 0 if self.tflite_padding(shape) else windows.padded_elements(shape, self.padding)


@dataclass(frozen=True)
class ConvTranspose2d(Convolution):
    """A transposed convolution with weight (out, in / groups, kernel height, kernel width) and bias (out,).

    Outputs come first in the weight, as everywhere in the graph; torch has inputs first.

    Attributes:
        padding: (rows, columns) to cut off the full result, the rows at top and bottom, the columns left and right.
        output_padding: (rows, columns) by which less is cut off at the bottom and on the right; -1
            cuts one more off, as TFLite's SAME does.
    """

    padding: Pair = (0, 0)
    output_padding: Pair = (0, 0)
    groups: int = 1

    def macs(self, tensors: Tensors) -> int:
        """Each value of the input is multiplied with every weight that reads its channel."""
        outputs, _, height, width = self.weight.shape
        return int(outputs // self.groups * height * width) * tensors[self.inputs[0]].elements

    def tflite_padding(self, size: Pair) -> PaddingName | None:
        """TFLite's name for the padding on an image of `size`, or None where a slice has to follow."""
        return windows.tflite_transposed_padding(size, self.kernel, self.stride, self.padding, self.output_padding)

    def uncut_size(self, size: Pair, out: Pair) -> Pair:
        """The (height, width) of the full result on an image of `size`, before it is cut down to `out`."""
        return windows.uncut_size(size, out, self.kernel, self.stride, self.padding)

    def copied_elements(self, tensors: Tensors) -> int:
        """The elements of the full result."""
        (_, *size), (channels, *out) = tensors[self.inputs[0]].shape, tensors[self.output].shape
        if self.tflite_padding((size[0], size[1])):
            return 0
        return channels * prod(self.uncut_size((size[0], size[1]), (out[0], out[1])))


@dataclass(frozen=True)
class Linear(Weighted):
    """A linear layer over the last axis, (in,) or (T, in), with weight (out, in) and bias (out,)."""

    channel_axis = -1
    absorbs_shift = True

    def macs(self, tensors: Tensors) -> int:
        """Each weight is multiplied once for every row."""
        return int(self.weight.size) * prod(tensors[self.output].shape[:-1])


@dataclass(frozen=True)
class TwoOperands(WithActivation):
    """An operator on two tensors of one rank, value by value; either is broadcast along its axes of length 1."""

    frames_as_images = True
    int16 = True


@dataclass(frozen=True)
class Add(TwoOperands):
    """The sum of two tensors; where one of them is broadcast it is the second."""


@dataclass(frozen=True)
class Sub(TwoOperands):
    """The first tensor minus the second."""


@dataclass(frozen=True)
class Mul(TwoOperands):
    """The product of two tensors; where one of them is broadcast it is the second."""

    multiplies = True


@dataclass(frozen=True)
class Relu(Operator):
    """An activation that could not be fused into the operator before it; input and output share a scale."""

    same_scale = True
    frames_as_images = True
    int16 = True

    activation: Activation = "relu"

    @property
    def title(self) -> str:
        """The activation's name, "relu" or "relu6"."""
        return self.activation


SATURATING = {"sigmoid": Quantization(1 / 256, QMIN), "tanh": Quantization(1 / 128, 0)}
"""The scale and zero point that TFLite demands of the output of a Unary, by its function."""


@dataclass(frozen=True)
class Unary(Operator):
    """A function that is applied value by value; on int8 codes it is a table of 256 of them.

    Attributes:
        function: its name in `operators.unary.FUNCTIONS`.
        alpha: the parameter of the functions that have one.
        table: (256,) int8, the output's code for each input code from -128 on; None where the kernels have the
            function themselves, and the file needs no table.
        real: whether the TFLite file computes it on real values, between DEQUANTIZE and QUANTIZE.
    """

    arrays = ("table",)
    frames_as_images = True

    function: str
    alpha: float = 0.0
    table: Array | None = None
    real: bool = False

    @property
    def title(self) -> str:
        """The function's name in words, as "hard swish"."""
        return self.function.replace("_", " ")

    @property
    def real_inside(self) -> bool:
        """True where `real` is set."""
        return self.real

    @property
    def fixed_output(self) -> Quantization | None:
        """The fixed quantization of sigmoid and tanh, which saturate; None for other functions."""
        return SATURATING.get(self.function)

    def scratch_bytes(self, tensors: Tensors) -> int:
        """Bytes of the codes as int32 and of the table's rows as int32, where a table ships."""
        return 0 if self.table is None else 2 * 4 * tensors[self.output].elements


@dataclass(frozen=True)
class Prelu(Operator):
    """PReLU: positive values pass, others are multiplied by their channel's slope, (C,) along the first axis.

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
    """The mean over `axes` of the shape, which the output does not have."""

    int16 = True

    axes: tuple[int, ...]


@dataclass(frozen=True)
class Pool2d(Operator):
    """A pool over windows of an image, whose input and output share a scale: the two operators below."""

    same_scale = True
    moves = True
    int16 = True

    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)

    def tflite_padding(self, shape: tuple[int, ...]) -> PaddingName | None:
        """TFLite's name for the padding of an input of (C, H, W), or None where it has none."""
        return windows.tflite_padding((shape[1], shape[2]), self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class MaxPool2d(Pool2d):
    """The maximum of each window; padding stands for the lowest value, so it is never the maximum."""

    def copied_elements(self, tensors: Tensors) -> int:
        """The elements of the padded input."""
        shape = tensors[self.inputs[0]].shape
        return 0 if self.tflite_padding(shape) else windows.padded_elements(shape, self.padding)


@dataclass(frozen=True)
class AveragePool2d(Pool2d):
    """The mean of each window without its padding; torch's `count_include_pad` becomes a Pad in front."""

    def cells(self, size: Pair) -> Array:
        """How many cells of an image of `size` each window covers: (out height, out width), int64."""
        return windows.cells(size, self.kernel, self.stride, self.padding)

    def copied_elements(self, tensors: Tensors) -> int:
        """The elements of the pool at stride 1, which a slice follows."""
        source = tensors[self.inputs[0]]
        return 0 if self.tflite_padding(source.shape) else source.elements


@dataclass(frozen=True)
class Pad(Operator):
    """Padding with one value, zero by default; `amounts` holds (before, after) for each axis of the shape."""

    same_scale = True
    int16 = True

    amounts: tuple[Pair, ...]
    value: float = 0.0

    @property
    def own_values(self) -> tuple[float, ...]:
        """The padding's value, unless it is zero, which every scale covers."""
        return (self.value,) if self.value else ()


@dataclass(frozen=True)
class Slice(Operator):
    """A slice of every axis; `ranges` holds (begin, end, step) for each axis of the shape."""

    same_scale = True
    moves = True
    int16 = True

    ranges: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Reshape(Operator):
    """The same values under the output's shape, in torch's (channel-first) order."""

    same_scale = True
    moves = True
    view = True
    int16 = True


@dataclass(frozen=True)
class Transpose(Operator):
    """A permutation of axes: axis k of the output is the input's axis order[k]; the batch is not counted."""

    same_scale = True
    moves = True
    view = True
    int16 = True

    order: tuple[int, ...]


@dataclass(frozen=True)
class Concat(Operator):
    """The concatenation along `axis` of tensors that share a scale; the batch is not counted."""

    same_scale = True
    int16 = True

    axis: int


@dataclass(frozen=True)
class Take(Operator):
    """A gather along each axis by itself; `positions` holds the indices for each axis, or None for all in order.

    Nearest-neighbour resizing, padding that reflects or repeats, flips, repeats and constant indices become this.
    """

    same_scale = True

    positions: tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class Resize(Operator):
    """Bilinear resizing of (C, H, W) to the output's height and width.

    Attributes:
        align_corners: pixels are points, of which the corner points keep their position; otherwise they are areas.
    """

    same_scale = True

    align_corners: bool = False


@dataclass(frozen=True)
class Requantize(Operator):
    """A change to another scale for the same real values; in a float graph it changes nothing."""

    boundary = True


@dataclass(frozen=True)
class Constant(Operator):
    """A constant operand of the model; it has no inputs, and `value` has the output's shape without the batch.

    In a quantised graph `value` holds int8 codes on the output's scale.
    """

    parameters = ("value",)
    stored = True
    free_scale = True

    value: Array


@dataclass(frozen=True)
class MatMul(Operator):
    """A product of two activations, (..., n, k) and (..., k, m) -> (..., n, m), matrix by matrix.

    XNNPACK has kernels only for a second operand whose zero point is code 0. With LiteRT's own kernels for the others
    a whole text encoder takes more than twice as long.

    Attributes:
        transpose_a, transpose_b: whether the operand is stored with its last two axes swapped.
    """

    multiplies = True
    symmetric_inputs = (1,)

    transpose_a: bool = False
    transpose_b: bool = False

    def macs(self, tensors: Tensors) -> int:
        """There are n * k * m for each matrix."""
        return tensors[self.output].elements * tensors[self.inputs[0]].shape[-2 if self.transpose_a else -1]


LEAST_SOFTMAX_STEP = 2.0**-25
"""Smallest step of a softmax's input times beta: TFLite Micro ends the process at 2^-26 and below."""


@dataclass(frozen=True)
class Softmax(Operator):
    """Softmax over the last axis of the values times `beta`; its output lies in [0, 1] and has the scale 1/256."""

    beta: float = 1.0

    @property
    def fixed_output(self) -> Quantization | None:
        """The scale 1/256 with zero at code -128."""
        return Quantization(1 / 256, QMIN)

    @property
    def least_input_span(self) -> float:
        """The span at which a step times beta is LEAST_SOFTMAX_STEP."""
        return (QMAX - QMIN) * LEAST_SOFTMAX_STEP / self.beta


@dataclass(frozen=True)
class Normalisation(Operator):
    """A normalisation, (x - mean) / sqrt(variance + epsilon) * weight + bias.

    No runtime has an integer kernel for it: it reads codes and writes codes, and computes on real values in between.
    Weight and bias stay float32.
    """

    parameters = ("weight", "bias")
    free_scale = True

    weight: Array
    bias: Array
    epsilon: float = 1e-5

    @property
    def real_inside(self) -> bool:
        """True: no runtime has an integer kernel."""
        return True

    def scratch_bytes(self, tensors: Tensors) -> int:
        """Bytes of two tensors of real values, which are alive at a time."""
        return 2 * 4 * tensors[self.output].elements


@dataclass(frozen=True)
class LayerNorm(Normalisation):
    """Layer norm over the last axis, with weight and bias (width,) (Ba et al., 2016)."""


@dataclass(frozen=True)
class GroupNorm(Normalisation, WithActivation):
    """Group norm of (C, ...) over groups of neighbouring channels, with weight and bias (C,) (Wu and He, 2018)."""

    frames_as_images = True

    groups: int = 1


@dataclass(frozen=True)
class Embedding(Operator):
    """A lookup of indices (...) in a table (rows, width), which is int8 on the output's scale: (..., width)."""

    parameters = ("weight",)
    stored = True
    free_scale = True

    weight: Array


@dataclass(frozen=True)
class Dequantize(Operator):
    """Codes to real values, at the entry of a float island; in a float graph it changes nothing."""

    boundary = True


@dataclass(frozen=True)
class Quantize(Operator):
    """Real values to codes, at the exit of a float island; in a float graph it changes nothing."""

    boundary = True
    free_scale = True
