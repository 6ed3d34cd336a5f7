"""Folds the normalisation of inputs into the first layers, so that the deployed network reads raw sensor values.

Training normalises each channel, (raw * scale - mean) / std. The deployed network should not have to: the code of a
uint8 pixel is the pixel (minus 128 where codes are int8), and the code of another sample is the sample divided by a
step. So the graph's input gets one mean and one std for all channels, at which raw values fall on codes; the remaining
factor and shift of each channel are folded into the layers that read the input.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from edgekd.graph.ops import Conv2d, Pad, Reshape
from edgekd.graph.structure import QMAX, QMIN, Array, Graph, Operator, Quantization, Tensor, Weighted
from edgekd.quantization.channels import at_input, by_input, propagate, scale_inputs

LARGEST_STEP_RATIO = 2.0
"""Largest ratio, in any channel, of the step of raw values to the step that normalised values would have."""


@dataclass(frozen=True)
class Normalisation:
    """Training's normalisation (raw * scale - mean) / std, with `mean` and `std` along a sample's first axis."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class View:
    """A normalisation that is the same for all channels, and its quantization, at which raw values fall on codes."""

    scale: float
    mean: float
    std: float
    quantization: Quantization

    @property
    def step(self) -> float:
        """The distance of the raw values of two neighbouring codes."""
        return self.quantization.scale * self.std / self.scale


class FoldedGraph(NamedTuple):
    """A graph whose input is raw values.

    Attributes:
        graph: the graph, whose input has the quantization of the view.
        in_front: the name of the normalising operator that was inserted after the input; "" where layers absorb it.
        border: the largest error of zero padding in standard deviations: before folding it stands for each channel's
            mean, afterwards for one value in all channels.
    """

    graph: Graph
    in_front: str
    border: float


def of_pixels(normalisation: Normalisation) -> View:
    """The view in which code = pixel - 128.

    Its mean is that of all channels, rounded to a pixel, and its std a power of two of pixels. So all arithmetic is
    exact, and the weights that absorb the remaining factor keep their magnitude, which suits an optimiser with steps of
    one size, such as Adam.
    """
    scale = normalisation.scale
    offset = int(np.clip(round(float(np.mean(normalisation.mean)) / scale), 0, QMAX - QMIN))
    pixel_std = _power_of_two(float(np.mean(normalisation.std)) / scale)
    return View(scale, offset * scale, pixel_std * scale, Quantization(1 / pixel_std, offset + QMIN))


def of_samples(normalisation: Normalisation, low: float, high: float) -> View:
    """The view in which code = round(sample / step) + an integer, for samples between `low` and `high`.

    Real zero, which is the value of padding, is near the mean of the channels, as it is in training.
    """
    step = float(np.float32(max(high - low, 1e-6) / (QMAX - QMIN)))
    center = float(np.clip(np.mean(normalisation.mean), low, high))
    zero_point = int(np.clip(round(QMIN + (center - low) / step), QMIN, QMAX))
    mean = step * round(low / step + zero_point - QMIN)
    std = _power_of_two(float(np.mean(normalisation.std)))
    return View(normalisation.scale, mean, std, Quantization(float(np.float32(step / std)), zero_point))


def resolves(view: View, normalisation: Normalisation, low: float, high: float) -> bool:
    """Do raw steps resolve every channel about as well as steps of its normalised values, from `low` to `high`, would?

    Channels of very different magnitude (an air pressure beside an acceleration) are better normalised first.
    """
    finest = min(normalisation.std)
    return view.step * view.scale / finest <= LARGEST_STEP_RATIO * max(high - low, 1e-6) / (QMAX - QMIN)


def fold(graph: Graph, normalisation: Normalisation, view: View) -> FoldedGraph:
    """Fold a normalisation into a graph, whose input then has the fixed quantization of the view.

    Convolutions and linear layers that read the input, also behind operators that only move or pool, absorb the
    normalisation. Where other operators read it, a 1 x 1 depthwise convolution is inserted after the input.

    Args:
        graph: a float graph with one input, of real values.
    """
    source = graph.tensors[graph.input]
    columns = (-1, *[1] * (len(source.shape) - 1))
    mean, std = (np.asarray(values, np.float64) for values in (normalisation.mean, normalisation.std))
    factor = np.broadcast_to((view.std / std).reshape(columns), source.shape)
    shift = np.broadcast_to(((view.mean - mean) / std).reshape(columns), source.shape)
    graph = replace(graph, tensors={**graph.tensors, source.name: replace(source, fixed=view.quantization)})
    absorption = _absorb(graph, factor, shift)
    if absorption is None:
        return _put_in_front(graph, factor, shift)
    layers, pads = absorption
    border = float(np.abs(shift).max()) if pads else 0.0
    operators = tuple(layers.get(op.name, op) for op in graph.operators)
    return FoldedGraph(replace(graph, operators=operators), "", border)


def _absorb(graph: Graph, factor: Array, shift: Array) -> tuple[dict[str, Weighted], bool] | None:
    """The (layers with the normalisation folded in, whether any pads its input); None where others read the input."""
    affine = {graph.input: (factor, shift)}
    layers: dict[str, Weighted] = {}
    pads = False
    for op in graph.operators:
        if not any(name in affine for name in op.inputs):
            continue
        if op.inputs[0] not in affine or len(op.inputs) > 1 or op.inputs[0] in graph.outputs:
            return None
        input_affine = affine[op.inputs[0]]
        if op.moves:
            factor, shift = (propagate(op, values, graph) for values in input_affine)
            affine[op.output] = factor, shift
        elif isinstance(op, Pad) and len(op.amounts) == 3 and op.amounts[0] == (0, 0):
            factor, shift = (np.pad(values, op.amounts, mode="edge") for values in input_affine)
            affine[op.output], pads = (factor, shift), True
        elif isinstance(op, Weighted) and op.absorbs_shift:
            by_channel = [at_input(op, values) for values in input_affine]
            if by_channel[0] is None or by_channel[1] is None:
                return None
            layers[op.name] = _fold_into(op, by_channel[0], by_channel[1])
            pads = pads or (isinstance(op, Conv2d) and any(op.padding))
        else:
            return None
    return (layers, pads) if _agree(graph, layers) else None


def _fold_into(op: Weighted, factor: Array, shift: Array) -> Weighted:
    """Fold x -> factor * x + shift into a layer: w (f x + s) = (w f) x + w s."""
    sums = by_input(op).astype(np.float64).sum(axis=3)  # (groups, out / groups, in / groups)
    bias = op.bias + (sums @ shift.reshape(len(sums), -1, 1)).reshape(-1)
    return replace(op, weight=scale_inputs(op, factor), bias=bias.astype(np.float32))


def _agree(graph: Graph, layers: dict[str, Weighted]) -> bool:
    """Do all operators that share parameters absorb the same factor and shift, or none of them any?"""
    for op in graph.weighted():
        if not op.shares or not {op.name, op.shares} & set(layers):
            continue
        if op.name not in layers or op.shares not in layers:
            return False
        if not np.array_equal(layers[op.name].weight, layers[op.shares].weight):
            return False
    return True


def _put_in_front(graph: Graph, factor: Array, shift: Array) -> FoldedGraph:
    """Insert a 1 x 1 depthwise convolution between the input and all operators that read it."""
    source = graph.tensors[graph.input]
    channels = source.shape[0]
    image = (channels, 1, source.elements // channels) if len(source.shape) != 3 else source.shape
    weight = factor.reshape(channels, -1)[:, 0].reshape(-1, 1, 1, 1).astype(np.float32)
    bias = shift.reshape(channels, -1)[:, 0].astype(np.float32)
    name = f"{source.name}/normalise"
    tensors, operators, output = dict(graph.tensors), list[Operator](), source.name
    if image != source.shape:
        tensors[f"{name}/image"] = Tensor(f"{name}/image", image)
        operators.append(Reshape(f"{name}/image", (output,), f"{name}/image"))
        output = f"{name}/image"
    tensors[name] = Tensor(name, image)
    operators.append(Conv2d(name, (output,), name, weight, bias, groups=channels))
    output = name
    if image != source.shape:
        tensors[f"{name}/flat"] = Tensor(f"{name}/flat", source.shape)
        operators.append(Reshape(f"{name}/flat", (output,), f"{name}/flat"))
        output = f"{name}/flat"
    for op in graph.operators:
        operators.append(replace(op, inputs=tuple(output if name == source.name else name for name in op.inputs)))
    outputs = tuple(output if name == source.name else name for name in graph.outputs)
    return FoldedGraph(replace(graph, tensors=tensors, operators=tuple(operators), outputs=outputs), name, 0.0)


def _power_of_two(value: float) -> float:
    return 2.0 ** round(math.log2(value))
