"""A graph: operators in order of execution, the tensors between them, and how a tensor's codes stand for real values.

Shapes leave the batch out and follow torch's layout, (C, H, W) for images; writers turn them into their format's. A
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
        """Of a sample."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Operator:
    """What all operators have. `name` is the module's path in the user's model, `source` their line of code.

    What others have to know of an operator, to count it, plan it or find scales for it, its class says: as an
    attribute below where it holds for every setting, else by a method.
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    """Fields that hold trained arrays."""
    arrays: ClassVar[tuple[str, ...]] = ()
    """Fields that hold arrays beside the parameters, or None."""
    same_scale: ClassVar[bool] = False
    """The output has the scale and zero point of the inputs, so that no kernel has to rescale."""
    stored: ClassVar[bool] = False
    """The output holds values of the first parameter, and has the range of it."""
    free_scale: ClassVar[bool] = False
    """No step of an input limits how fine the output's steps may be."""
    multiplies: ClassVar[bool] = False
    """Codes of the inputs are multiplied with one another."""
    symmetric_inputs: ClassVar[tuple[int, ...]] = ()
    """The inputs, by place, whose zero point has to be code 0 for the fast kernels."""
    int16: ClassVar[bool] = False
    """Its kernels for int16 activations were reproduced bit for bit."""
    boundary: ClassVar[bool] = False
    """It takes codes to another scale, to real values or back; in a float graph it changes nothing."""
    frames_as_images: ClassVar[bool] = False
    """It does to frames (C, L) what it does to images (C, 1, L): it works value by value, or by channels."""
    moves: ClassVar[bool] = False
    """Each output is one of the inputs, or a mean of inputs of one channel."""
    view: ClassVar[bool] = False
    """The output is the input's memory under another shape or order, as long as channels stand last."""

    name: str
    inputs: tuple[str, ...]
    output: str
    source: str = field(default="", kw_only=True)

    @property
    def title(self) -> str:
        """Its kind, as a reader knows it: "max pool2d"."""
        return "".join(f" {c.lower()}" if c.isupper() else c for c in type(self).__name__).strip()

    @property
    def real_inside(self) -> bool:
        """It takes codes and gives codes, but its file computes on real values in between."""
        return False

    @property
    def fixed_output(self) -> Quantization | None:
        """The scale and zero point that TFLite demands of the output."""
        return None

    @property
    def own_values(self) -> tuple[float, ...]:
        """Real values that stand in the output beside the inputs', and that its scale has to cover."""
        return ()

    @property
    def least_input_span(self) -> float:
        """How far apart the lowest and highest value of an input must be at least, for all kernels to take it."""
        return 0.0

    def macs(self, tensors: "Mapping[str, Tensor]") -> int:
        """Multiply-accumulates at batch 1, of convolutions and products of matrices (the field's custom)."""
        return 0

    def scratch_bytes(self, tensors: "Mapping[str, Tensor]") -> int:
        """Of what its file holds while it computes, beside input and output."""
        return 0

    def copied_elements(self, tensors: "Mapping[str, Tensor]") -> int:
        """Of the padded input or uncut output in a TFLite file, where TFLite has no name for the padding."""
        return 0


@dataclass(frozen=True)
class WithActivation(Operator):
    """An operator that a ReLU or ReLU6 behind it goes into."""

    activation: Activation = field(default="none", kw_only=True)


@dataclass(frozen=True)
class Weighted(WithActivation):
    """An operator with weights and a bias, whose weights can take in a factor for each channel of the input.

    Attributes:
        weight_scale: (out,), of the codes of `weight`, or (1,) where a file has one for all channels; None in a float
            graph.
        shares: the operator whose parameters this one uses too (a recurrent net's next step); "" for its own.
    """

    parameters: ClassVar[tuple[str, ...]] = ("weight", "bias")
    arrays: ClassVar[tuple[str, ...]] = ("weight_scale",)
    int16: ClassVar[bool] = True
    channel_axis: ClassVar[int] = 0
    """Of the input and the output, without the batch: 0 or -1."""
    absorbs_shift: ClassVar[bool] = False
    """A shift of the input is a shift of the output, the same at every place but next to padding."""

    weight: Array
    bias: Array
    weight_scale: Array | None = field(default=None, kw_only=True)
    shares: str = field(default="", kw_only=True)

    @property
    def groups(self) -> int:
        """Parts of the channels; outputs of one part see inputs of that part alone."""
        return 1

    @property
    def batched_channel_axis(self) -> int:
        """The axis of the channels where the batch is counted."""
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
        """Does any tensor hold codes?"""
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
