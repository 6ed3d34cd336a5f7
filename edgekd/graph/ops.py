"""The operators of the graph and the tensors between them; every other file here says what to do with each of them.

A graph is single-input, single-output and in order of execution. Shapes leave the batch out and follow torch's
layout, (C, H, W) for images; writers turn them into their format's. A float graph holds float32 weights. A quantised
one holds int8 weights with a scale for each output channel, int32 biases on the scale `input_scale * weight_scale`,
and a `Quantization` on every tensor, after the TFLite 8-bit quantization specification.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Activation = Literal["none", "relu", "relu6"]
Kernels = Literal["xnnpack", "onnxruntime"]
Padding = tuple[int, int, int, int]  # top, bottom, left, right

QMIN, QMAX = -128, 127

KERNELS: dict[str, Kernels] = {"tflite": "xnnpack", "onnx": "onnxruntime"}
"""The kernels that run each format: what a student for it is trained to, and its file verified against."""


@dataclass(frozen=True)
class Quantization:
    """real = scale * (code - zero_point), codes in [-128, 127]; `scale` is a float32 value."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Tensor:
    """A value between operators. `shape` leaves the batch out."""

    name: str
    shape: tuple[int, ...]
    quantization: Quantization | None = None

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Operator:
    """What all operators have. `name` is the module's path in the user's model, `source` their line of code."""

    name: str
    inputs: tuple[str, ...]
    output: str
    source: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Weighted(Operator):
    """An operator with weights and a bias; `weight_scale` is None in a float graph."""

    weight: Array
    bias: Array
    weight_scale: Array | None = field(default=None, kw_only=True)
    activation: Activation = field(default="none", kw_only=True)


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


SAME_SCALE = (Relu, MaxPool2d, AveragePool2d, Pad, Slice, Reshape)
"""Operators whose output has its input's scale and zero point, so that no kernel has to rescale."""


@dataclass(frozen=True)
class Graph:
    """Operators in order of execution, and their tensors by name."""

    input: str
    output: str
    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]

    @property
    def quantized(self) -> bool:
        return self.tensors[self.input].quantization is not None

    def weighted(self) -> Iterator[Weighted]:
        """The operators that have weights."""
        return (op for op in self.operators if isinstance(op, Weighted))

    def consumers(self, tensor: str) -> list[Operator]:
        """The operators that read a tensor."""
        return [op for op in self.operators if tensor in op.inputs]

    def until(self, tensor: str) -> "Graph":
        """The part that computes `tensor`, which becomes the output."""
        needed, kept = {tensor}, []
        for op in reversed(self.operators):
            if op.output in needed:
                needed.update(op.inputs)
                kept.append(op)
        names = {self.input, *(op.output for op in kept)}
        tensors = {name: t for name, t in self.tensors.items() if name in names}
        return replace(self, output=tensor, tensors=tensors, operators=tuple(reversed(kept)))

    def quantization(self, tensor: str) -> Quantization:
        """A tensor's scale and zero point; ValueError in a float graph."""
        found = self.tensors[tensor].quantization
        if found is None:
            raise ValueError(f"tensor {tensor} has no quantization: this is a float graph")
        return found


def convolved(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """The length of an axis after a convolution or pool."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) that TensorFlow's SAME pads along one axis: the odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def tflite_padding(op: Conv2d | MaxPool2d | AveragePool2d, shape: tuple[int, ...]) -> Literal["SAME", "VALID"] | None:
    """TFLite's name for the operator's padding on an input of (C, H, W); None where it needs a PAD of its own."""
    if isinstance(op, AveragePool2d):
        return "VALID"
    if not any(op.padding):
        return "VALID"
    kernel = op.kernel if isinstance(op, MaxPool2d) else op.weight.shape[2:]
    dilation = op.dilation if isinstance(op, Conv2d) else (1, 1)
    height = same_padding(shape[1], kernel[0], op.stride[0], dilation[0])
    width = same_padding(shape[2], kernel[1], op.stride[1], dilation[1])
    return "SAME" if op.padding == height + width else None


def activation_range(activation: Activation, quantization: Quantization) -> tuple[int, int]:
    """The lowest and highest code that a fused activation lets through."""
    if activation == "none":
        return QMIN, QMAX
    low = max(QMIN, quantization.zero_point)
    if activation == "relu":
        return low, QMAX
    six = int(np.rint(np.float32(6.0) / np.float32(quantization.scale))) + quantization.zero_point
    return low, min(QMAX, six)
