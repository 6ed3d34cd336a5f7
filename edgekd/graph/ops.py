"""The operators of the graph; every other file here says what to do with each of them."""

from dataclasses import dataclass

from edgekd.graph.structure import Activation, Array, Operator, Weighted

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
class Linear(Weighted):
    """weight: (out, in); bias: (out,)."""


@dataclass(frozen=True)
class Add(Operator):
    """Two tensors of one shape."""

    activation: Activation = "none"


@dataclass(frozen=True)
class Relu(Operator):
    """An activation that no operator before it could take in; its output is on its input's scale."""

    activation: Activation = "relu"


@dataclass(frozen=True)
class GlobalAveragePool(Operator):
    """The mean over height and width: (C, H, W) -> (C,)."""


@dataclass(frozen=True)
class MaxPool2d(Operator):
    """Padding never wins: it stands for the lowest value."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True)
class AveragePool2d(Operator):
    """Without padding; its output is on its input's scale, as TFLite asks."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Pad(Operator):
    """Zeros around: (before, after) for each axis of the shape."""

    amounts: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Slice(Operator):
    """(begin, end, step) for each axis of the shape."""

    ranges: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Reshape(Operator):
    """To the output's shape, in torch's (channel-first) order."""


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


SAME_SCALE = (Relu, MaxPool2d, AveragePool2d, Pad, Slice, Reshape)
"""Operators whose output has its input's scale and zero point, so that no kernel has to rescale."""
