"""The graph that is trained, executed and exported: operators, the tensors between them, and their quantization.

Shapes are without the batch and in torch's layout, (C, H, W) for images; writers convert them to their format's. A
float graph holds float32 parameters and no quantization. A quantised one holds int8 weights with a scale for each
output channel, int32 biases on the scale `input_scale * weight_scale`, and a `Quantization` on every tensor but those
of float islands and indices, after the TFLite 8-bit quantization specification.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Activation = Literal["none", "relu", "relu6"]
Kernels = Literal["xnnpack", "tflm", "onnxruntime"]
Bits = Literal[8, 16]
Mode = Literal["xnnpack", "tflm", "onnxruntime", "litert-reference"]
"""What the integer reference follows: a kernel set, or LiteRT's reference kernels, which differ little from "tflm"."""

QMIN, QMAX = -128, 127


@dataclass(frozen=True)
class Quantization:
    """How codes stand for real values: real = scale * (code - zero_point), with a float32 scale.

    Codes of 16 bits have the zero point 0.
    """

    scale: float
    zero_point: int
    bits: Bits = 8

    @property
    def lowest(self) -> int:
        """The lowest code, -128 or -32768."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The highest code, 127 or 32767."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class Tensor:
    """A tensor between operators, or an input of the graph.

    Attributes:
        shape: of one sample, without the batch.
        quantization: None in a float graph, in a float island, and for indices.
        kind: "index" for int32 indices such as tokens, which are never quantised.
        fixed: the quantization that is known before calibration: of an input whose codes a sensor gives, or of an
            output for which a kernel demands it.
        like: the name of an earlier tensor whose scale this one shares, as the steps of a recurrent layer do; "" for
            none.
        bits: the width of its codes.
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
        """How many values a sample has."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Operator:
    """The fields and traits of every operator.

    A trait is what other rooms have to know of an operator to count it, plan its memory or find its scales. It is a
    class attribute where it holds for all settings, else a property or method.

    Attributes:
        name: the module's path in the user's model.
        source: the line of the user's code that made it, "nets.py:41".
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    """The fields that hold trained arrays."""
    arrays: ClassVar[tuple[str, ...]] = ()
    """The fields that hold other arrays, or None."""
    same_scale: ClassVar[bool] = False
    """Output and inputs share scale and zero point, so that no kernel has to rescale."""
    stored: ClassVar[bool] = False
    """The output holds values of the first parameter, and has its range."""
    free_scale: ClassVar[bool] = False
    """No ratio to the inputs' scales limits how small the output's scale may be."""
    multiplies: ClassVar[bool] = False
    """It multiplies the codes of its inputs with one another."""
    symmetric_inputs: ClassVar[tuple[int, ...]] = ()
    """Positions of the inputs whose zero point has to be code 0 for the fast kernels."""
    int16: ClassVar[bool] = False
    """The integer reference follows its kernels for int16 activations bit for bit."""
    boundary: ClassVar[bool] = False
    """It converts codes to another scale, to real values or back; in a float graph it changes nothing."""
    frames_as_images: ClassVar[bool] = False
    """It computes on frames (C, L) what it computes on images (C, 1, L), value by value or channel by channel."""
    moves: ClassVar[bool] = False
    """Each output value is an input value, or a mean of input values of one channel."""
    view: ClassVar[bool] = False
    """The output is the input's memory under another shape or order, where channels are stored last."""

    name: str
    inputs: tuple[str, ...]
    output: str
    source: str = field(default="", kw_only=True)

    @property
    def title(self) -> str:
        """The kind of operator in words, as "max pool2d"."""
        return "".join(f" {c.lower()}" if c.isupper() else c for c in type(self).__name__).strip()

    @property
    def real_inside(self) -> bool:
        """Does the file compute on real values between its codes?"""
        return False

    @property
    def fixed_output(self) -> Quantization | None:
        """The scale and zero point that TFLite demands of the output, or None."""
        return None

    @property
    def own_values(self) -> tuple[float, ...]:
        """Real values that the operator itself puts into the output, and that the output's scale has to cover."""
        return ()

    @property
    def least_input_span(self) -> float:
        """The narrowest range of an input, highest minus lowest value, that all kernels accept."""
        return 0.0

    def macs(self, tensors: "Mapping[str, Tensor]") -> int:
        """Multiply-accumulates at batch 1; only convolutions and matrix products have any, as is the field's custom."""
        return 0

    def scratch_bytes(self, tensors: "Mapping[str, Tensor]") -> int:
        """Bytes of the temporary tensors that its files need beside input and output."""
        return 0

    def copied_elements(self, tensors: "Mapping[str, Tensor]") -> int:
        """Elements of the copy that a TFLite file needs where TFLite has no name for the padding."""
        return 0


@dataclass(frozen=True)
class WithActivation(Operator):
    """An operator into which the ReLU or ReLU6 that follows it is fused."""

    activation: Activation = field(default="none", kw_only=True)


@dataclass(frozen=True)
class Weighted(WithActivation):
    """An operator with a weight and a bias; a factor for each input channel can be folded into the weight.

    Attributes:
        weight_scale: (out,), the scale of each output channel's weight codes, or (1,) where a file has one
            for all channels; None in a float graph.
        shares: the name of the operator whose parameters this one uses, as the steps of a recurrent layer do; "" where
            it has its own.
    """

    parameters: ClassVar[tuple[str, ...]] = ("weight", "bias")
    arrays: ClassVar[tuple[str, ...]] = ("weight_scale",)
    int16: ClassVar[bool] = True
    channel_axis: ClassVar[int] = 0
    """The axis of the channels in input and output, 0 or -1; the batch is not counted."""
    absorbs_shift: ClassVar[bool] = False
    """A constant added to the input adds a constant to the output, the same everywhere but next to padding."""

    weight: Array
    bias: Array
    weight_scale: Array | None = field(default=None, kw_only=True)
    shares: str = field(default="", kw_only=True)

    @property
    def groups(self) -> int:
        """How many groups the channels fall into; outputs of a group see the inputs of that group alone."""
        return 1

    @property
    def batched_channel_axis(self) -> int:
        """The axis of the channels when the batch is counted."""
        return self.channel_axis if self.channel_axis < 0 else self.channel_axis + 1


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
        """Whether any tensor holds codes."""
        return any(tensor.quantization is not None for tensor in self.tensors.values())

    def weighted(self) -> Iterator[Weighted]:
        """The operators that have weights."""
        return (op for op in self.operators if isinstance(op, Weighted))

    def consumers(self, tensor: str) -> list[Operator]:
        """The operators that read a tensor."""
        return [op for op in self.operators if tensor in op.inputs]

    def until(self, *tensors: str) -> "Graph":
        """The part of the graph that computes `tensors`, which become its outputs."""
        sources, operators = set(tensors), []
        for op in reversed(self.operators):
            if op.output in sources:
                sources.update(op.inputs)
                operators.append(op)
        names = {*self.inputs, *(op.output for op in operators)}
        inputs = tuple(name for name in self.inputs if name in sources)
        inside = {name: t for name, t in self.tensors.items() if name in names}
        return replace(self, inputs=inputs, outputs=tensors, tensors=inside, operators=tuple(reversed(operators)))

    def quantization(self, tensor: str) -> Quantization:
        """The scale and zero point of a tensor; ValueError where it holds real values."""
        quantization = self.tensors[tensor].quantization
        if quantization is None:
            raise ValueError(f"tensor {tensor} has no quantization: it holds real values")
        return quantization


def activation_range(
    activation: Activation, quantization: Quantization, kernels: Kernels = "onnxruntime"
) -> tuple[int, int]:
    """The lowest and highest code that an activation lets through.

    Kernel sets round six differently where it lies half way between two codes. LiteRT's built-in kernels, which run an
    activation that is not fused, round as "tflm" does.
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
