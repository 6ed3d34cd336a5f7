"""A graph: operators in order of execution, the tensors between them, and how a tensor's codes stand for real values.

Shapes leave the batch out and follow torch's layout, (C, H, W) for images; writers turn them into their format's. A
float graph holds float32 parameters and no quantization. A quantised one holds int8 weights with a scale for each
output channel, int32 biases on the scale `input_scale * weight_scale`, and a `Quantization` on every tensor but those
of float islands and indices, after the TFLite 8-bit quantization specification.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Activation = Literal["none", "relu", "relu6"]
Kernels = Literal["xnnpack", "tflm", "onnxruntime"]
Bits = Literal[8, 16]
Mode = Literal["xnnpack", "tflm", "onnxruntime", "litert-reference"]
"""What the integer reference can follow: kernels, and LiteRT's reference ones: "tflm" with a few exceptions."""

QMIN, QMAX = -128, 127


@dataclass(frozen=True)
class Quantization:
    """real = scale * (code - zero_point); `scale` is a float32 value. Codes of 16 bits have the zero point 0."""

    scale: float
    zero_point: int
    bits: Bits = 8

    @property
    def lowest(self) -> int:
        """The lowest code: -128, or -32768."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The highest code: 127, or 32767."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class Tensor:
    """A value between operators. `shape` leaves the batch out.

    Attributes:
        quantization: None in a float graph, in a float island, and for indices.
        kind: "index" for integers that choose (tokens, int32); they are never quantised.
        fixed: the quantization that is known before any calibration: of an input whose codes are a sensor's, or where
            an operator demands it.
        like: the tensor, made before it, whose scale it shares: that of a recurrent net's first step. "" for none.
        bits: of its codes.
    """

    name: str
    shape: tuple[int, ...]
    quantization: Quantization | None = None
    kind: Literal["real", "index"] = "real"
    fixed: Quantization | None = None
    like: str = ""
    bits: Bits = 8

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Operator:
    """What all operators have. `name` is the module's path in the user's model, `source` their line of code."""

    parameters: ClassVar[tuple[str, ...]] = ()
    """Fields that hold trained arrays."""

    name: str
    inputs: tuple[str, ...]
    output: str
    source: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Weighted(Operator):
    """An operator with weights and a bias.

    Attributes:
        weight_scale: (out,), or (1,) where a file has one for all channels; None in a float graph.
        shares: the operator whose parameters this one uses too (a recurrent net's next step); "" for its own.
    """

    parameters: ClassVar[tuple[str, ...]] = ("weight", "bias")

    weight: Array
    bias: Array
    weight_scale: Array | None = field(default=None, kw_only=True)
    activation: Activation = field(default="none", kw_only=True)
    shares: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Graph:
    """Operators in order of execution, and their tensors by name."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]

    @property
    def input(self) -> str:
        """The only input, or the first."""
        return self.inputs[0]

    @property
    def output(self) -> str:
        """The only output, or the first."""
        return self.outputs[0]

    @property
    def quantized(self) -> bool:
        return any(tensor.quantization is not None for tensor in self.tensors.values())

    def weighted(self) -> Iterator[Weighted]:
        """The operators that have weights."""
        return (op for op in self.operators if isinstance(op, Weighted))

    def consumers(self, tensor: str) -> list[Operator]:
        """The operators that read a tensor."""
        return [op for op in self.operators if tensor in op.inputs]

    def until(self, *tensors: str) -> "Graph":
        """The part that computes `tensors`, which become the outputs."""
        needed, kept = set(tensors), []
        for op in reversed(self.operators):
            if op.output in needed:
                needed.update(op.inputs)
                kept.append(op)
        names = {*self.inputs, *(op.output for op in kept)}
        inputs = tuple(name for name in self.inputs if name in needed)
        left = {name: t for name, t in self.tensors.items() if name in names}
        return replace(self, inputs=inputs, outputs=tensors, tensors=left, operators=tuple(reversed(kept)))

    def quantization(self, tensor: str) -> Quantization:
        """A tensor's scale and zero point; ValueError where it holds real values."""
        found = self.tensors[tensor].quantization
        if found is None:
            raise ValueError(f"tensor {tensor} has no quantization: it holds real values")
        return found


def activation_range(
    activation: Activation, quantization: Quantization, kernels: Kernels = "onnxruntime"
) -> tuple[int, int]:
    """The lowest and highest code that an activation lets through.

    The kernels round six differently where it lies half way between two codes. LiteRT's own kernels, which run an
    activation that stands alone, go by "tflm".
    """
    if activation == "none":
        return quantization.lowest, quantization.highest
    low = max(quantization.lowest, quantization.zero_point)
    if activation == "relu":
        return low, quantization.highest
    return low, min(quantization.highest, _code_of_six(quantization, kernels))


def _code_of_six(quantization: Quantization, kernels: Kernels) -> int:
    steps = np.float32(6.0) / np.float32(quantization.scale)
    if kernels == "tflm":  # half away from zero, in double
        return int(np.floor(float(steps) + 0.5)) + quantization.zero_point
    if kernels == "xnnpack":  # half to even, the zero point added first
        return int(np.rint(steps + np.float32(quantization.zero_point)))
    return int(np.rint(steps)) + quantization.zero_point
