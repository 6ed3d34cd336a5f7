"""Input as the sensor gives it: normalisation moves into the first layers' weights, and codes are raw values.

A training normalises, (raw * scale - mean) / std for each channel. The deployed network should not have to: of uint8
pixels, the code is the pixel (less 128 where codes are int8); of other samples, it is the sample divided by a step.
So the graph's input gets one mean and one std for all channels, chosen such that raw values fall on codes, and what
is left, a factor and a shift for each channel, is absorbed by the layers that read it.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from edgekd.graph.ops import Conv2d, Pad, Reshape
from edgekd.graph.structure import QMAX, QMIN, Array, Graph, Operator, Quantization, Tensor, Weighted
from edgekd.quantization.channels import at_input, by_input, carry, input_scaled

WORTH = 2.0
"""Raw values may have steps so many times wider than normalised ones would have, in any channel."""


@dataclass(frozen=True)
class Normalisation:
    """real = (raw * scale - mean) / std; `mean` and `std` of each channel, the first axis of a sample."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class View:
    """One normalisation for all channels, under which raw values fall on codes."""

    scale: float
    mean: float
    std: float
    quantization: Quantization

    @property
    def step(self) -> float:
        """Of raw values, from code to code."""
        return self.quantization.scale * self.std / self.scale


class Folded(NamedTuple):
    """Attributes:
    graph: that takes inputs as the view has them.
    in_front: the name of the operator that was put in front, where the first layers can't absorb; else "".
    border: what padding stands for now instead of the channel's mean, in standard deviations at most: padding of
        zeros is a shift of its own in every channel, and after folding it is one for all of them.
    """

    graph: Graph
    in_front: str
    border: float


def of_pixels(normalisation: Normalisation) -> View:
    """code = pixel - 128. The mean is that of all channels, rounded to a pixel; the std a power of two of pixels.

    So all arithmetic is exact, and the weights that absorb the rest stay of the size that they were trained in: an
    optimiser that takes steps of one size, as Adam does, goes on at its pace.
    """
    scale = normalisation.scale
    offset = int(np.clip(round(float(np.mean(normalisation.mean)) / scale), 0, QMAX - QMIN))
    spread = _power_of_two(float(np.mean(normalisation.std)) / scale)
    return View(scale, offset * scale, spread * scale, Quantization(1 / spread, offset + QMIN))


def of_samples(normalisation: Normalisation, low: float, high: float) -> View:
    """code = round(sample / step) + a whole number, for samples between `low` and `high`.

    Real zero, which padding stands for, is near the mean of the channels, as it is in the training.
    """
    step = float(np.float32(max(high - low, 1e-6) / (QMAX - QMIN)))
    center = float(np.clip(np.mean(normalisation.mean), low, high))
    zero_point = int(np.clip(round(QMIN + (center - low) / step), QMIN, QMAX))
    mean = step * round(low / step + zero_point - QMIN)
    std = _power_of_two(float(np.mean(normalisation.std)))
    return View(normalisation.scale, mean, std, Quantization(float(np.float32(step / std)), zero_point))


def resolves(view: View, normalisation: Normalisation, low: float, high: float) -> bool:
    """Do raw steps serve every channel about as well as steps of its normalised values, which span `low` to `high`?

    Channels of very different strength (an air pressure beside an acceleration) are better normalised before.
    """
    finest = min(normalisation.std)
    return view.step * view.scale / finest <= WORTH * max(high - low, 1e-6) / (QMAX - QMIN)


def fold(graph: Graph, normalisation: Normalisation, view: View) -> Folded:
    """The graph on inputs as the view has them; its input's quantization is fixed.

    Convolutions and linear layers that read the input, also behind operators that only move or pool, absorb the
    normalisation. Where others read it, a 1 x 1 depthwise convolution of its own is put in front.

    Args:
        graph: a float graph with one input, of real values.
    """
    source = graph.tensors[graph.input]
    columns = (-1, *[1] * (len(source.shape) - 1))
    mean, std = (np.asarray(values, np.float64) for values in (normalisation.mean, normalisation.std))
    factor = np.broadcast_to((view.std / std).reshape(columns), source.shape)
    shift = np.broadcast_to(((view.mean - mean) / std).reshape(columns), source.shape)
    graph = replace(graph, tensors={**graph.tensors, source.name: replace(source, fixed=view.quantization)})
    absorbed = _absorbed(graph, factor, shift)
    if absorbed is None:
        return _in_front(graph, factor, shift)
    layers, padded = absorbed
    border = float(np.abs(shift).max()) if padded else 0.0
    operators = tuple(layers.get(op.name, op) for op in graph.operators)
    return Folded(replace(graph, operators=operators), "", border)


def _absorbed(graph: Graph, factor: Array, shift: Array) -> tuple[dict[str, Weighted], bool] | None:
    """(the layers that take the normalisation in, does any pad its input); None where others read the input."""
    reached = {graph.input: (factor, shift)}
    layers: dict[str, Weighted] = {}
    padded = False
    for op in graph.operators:
        if not any(name in reached for name in op.inputs):
            continue
        if op.inputs[0] not in reached or len(op.inputs) > 1 or op.inputs[0] in graph.outputs:
            return None
        known = reached[op.inputs[0]]
        if op.moves:
            factor, shift = (carry(op, values, graph) for values in known)
            reached[op.output] = factor, shift
        elif isinstance(op, Pad) and len(op.amounts) == 3 and op.amounts[0] == (0, 0):
            factor, shift = (np.pad(values, op.amounts, mode="edge") for values in known)
            reached[op.output], padded = (factor, shift), True
        elif isinstance(op, Weighted) and op.absorbs_shift:
            by_channel = [at_input(op, values) for values in known]
            if by_channel[0] is None or by_channel[1] is None:
                return None
            layers[op.name] = _taken_in(op, by_channel[0], by_channel[1])
            padded = padded or (isinstance(op, Conv2d) and any(op.padding))
        else:
            return None
    return (layers, padded) if _agree(graph, layers) else None


def _taken_in(op: Weighted, factor: Array, shift: Array) -> Weighted:
    """w (f x + s) = (w f) x + w s"""
    sums = by_input(op).astype(np.float64).sum(axis=3)  # (groups, out / groups, in / groups)
    bias = op.bias + (sums @ shift.reshape(len(sums), -1, 1)).reshape(-1)
    return replace(op, weight=input_scaled(op, factor), bias=bias.astype(np.float32))


def _agree(graph: Graph, layers: dict[str, Weighted]) -> bool:
    """Operators that share parameters can take something in only if all of them do, and the same."""
    for op in graph.weighted():
        if not op.shares or not {op.name, op.shares} & set(layers):
            continue
        if op.name not in layers or op.shares not in layers:
            return False
        if not np.array_equal(layers[op.name].weight, layers[op.shares].weight):
            return False
    return True


def _in_front(graph: Graph, factor: Array, shift: Array) -> Folded:
    """A 1 x 1 depthwise convolution between the input and all that read it."""
    source = graph.tensors[graph.input]
    channels = source.shape[0]
    image = (channels, 1, source.elements // channels) if len(source.shape) != 3 else source.shape
    weight = factor.reshape(channels, -1)[:, 0].reshape(-1, 1, 1, 1).astype(np.float32)
    bias = shift.reshape(channels, -1)[:, 0].astype(np.float32)
    name = f"{source.name}/normalise"
    tensors, operators, read = dict(graph.tensors), list[Operator](), source.name
    if image != source.shape:
        tensors[f"{name}/image"] = Tensor(f"{name}/image", image)
        operators.append(Reshape(f"{name}/image", (read,), f"{name}/image"))
        read = f"{name}/image"
    tensors[name] = Tensor(name, image)
    operators.append(Conv2d(name, (read,), name, weight, bias, groups=channels))
    read = name
    if image != source.shape:
        tensors[f"{name}/flat"] = Tensor(f"{name}/flat", source.shape)
        operators.append(Reshape(f"{name}/flat", (read,), f"{name}/flat"))
        read = f"{name}/flat"
    for op in graph.operators:
        operators.append(replace(op, inputs=tuple(read if name == source.name else name for name in op.inputs)))
    outputs = tuple(read if output == source.name else output for output in graph.outputs)
    return Folded(replace(graph, tensors=tensors, operators=tuple(operators), outputs=outputs), name, 0.0)


def _power_of_two(value: float) -> float:
    return 2.0 ** round(math.log2(value))
