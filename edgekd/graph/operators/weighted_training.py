"""Convolutions and linear layers, whose weights and biases are rounded to codes and trained through the rounding."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic import fixed_point
from edgekd.graph.operators.arithmetic_training import FixedPoint, activate, limits, requantize, round_straight
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear
from edgekd.graph.structure import QMAX, Operator, Quantization, Weighted

BIAS_CODES = {8: 2.0**22, 16: 2.0**38}
"""The most steps of a bias, by the bits of the input's codes; the weight scale is at least as large as that needs. So
accumulators stay below 2^24, which float32 holds exactly, and those of 64 bits below the 2^47 that TFLite demands."""

LARGEST_MULTIPLIER = 32
"""The most output steps to a step of the accumulator. XNNPACK refuses 256 and more; gemmlowp shifts to the left by the
multiplier's magnitude, and up to this multiplier accumulators below 2^24 stay within an int32."""


def weight_scale(weight: Tensor, bias: Tensor, source: Quantization) -> Tensor:
    """The scale of each output channel, (out,): its largest weight is code 127 unless its bias needs a coarser scale.

    A channel of zeros has the scale of the strongest one: any scale would do, but kernels have limits.
    """
    largest = weight.detach().abs().flatten(1).amax(1)
    strongest = largest.max()
    largest = torch.where(largest > 0, largest, torch.where(strongest > 0, strongest, torch.ones_like(strongest)))
    for_bias = bias.detach().abs() / (source.scale * BIAS_CODES[source.bits])
    return torch.maximum(largest / QMAX, for_bias).clamp_min(1e-9)


def weight_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """Round weights to codes, integer-valued floats in [-127, 127]."""
    return round_straight(weight / scale.reshape(-1, *[1] * (weight.dim() - 1))).clamp(-QMAX, QMAX)


def least_span(sim: Simulated, op: Weighted) -> float:
    """The narrowest range of the output at which no multiplier exceeds LARGEST_MULTIPLIER."""
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    steps = float(2 ** sim.tensors[op.output].bits) - 1
    return float(weight_scale(weight, bias, source).max()) * source.scale * steps / LARGEST_MULTIPLIER


def _convolve(op: Conv2d, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve with zero padding, which is real zero in codes minus their zero point too."""
    top, bottom, left, right = op.padding
    if top == bottom and left == right:
        return F.conv2d(x, weight, bias, op.stride, (top, left), op.dilation, op.groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, op.stride, 0, op.dilation, op.groups)


def _convolve_transposed(op: ConvTranspose2d, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve transposed; torch expects the weight as (in, out / groups, kernel height, kernel width)."""
    out, inputs, *kernel = weight.shape
    torch_weight = weight.reshape(op.groups, out // op.groups, inputs, *kernel).transpose(1, 2).flatten(0, 1)
    return F.conv_transpose2d(x, torch_weight, bias, op.stride, op.padding, op.output_padding, op.groups)


def _codes(sim: Simulated, op: Weighted, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    scale = weight_scale(weight, bias, source)
    step = scale * source.scale
    acc = _accumulate(op, x, weight_codes(weight, scale), round_straight(bias / step))
    channels = op.batched_channel_axis % acc.dim()
    sim.observe(op.output, lambda: activate(_channel_ranges(acc, channels) * step, op.activation))
    output = sim.quantization(op.output)
    shape = [-1 if axis == channels else 1 for axis in range(acc.dim())]
    low, high = limits(op.activation, output, sim.kernels)
    twice = None
    if sim.kernels == "tflm":
        exact = source.scale * scale.cpu().numpy().astype(np.float64) / output.scale
        twice = FixedPoint.of(*fixed_point(exact), shape, acc.device)
    return requantize(acc, (step / output.scale).reshape(shape), low, high, twice)


def _accumulate(op: Weighted, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if isinstance(op, Conv2d):
        return _convolve(op, x, weight, bias)
    return _convolve_transposed(op, x, weight, bias) if isinstance(op, ConvTranspose2d) else F.linear(x, weight, bias)


def _real(op: Weighted, x: Tensor, weight: Tensor, bias: Tensor, shape: tuple[int, ...]) -> Tensor:
    return activate(_accumulate(op, x, weight, bias), op.activation)


def _channel_ranges(acc: Tensor, channels: int) -> Tensor:
    """The lowest and highest value of each channel, (2, channels), from which a range is computed cheaply."""
    others = [axis for axis in range(acc.dim()) if axis != channels]
    return torch.stack([acc.detach().amin(others), acc.detach().amax(others)])


def _shipped(sim: Simulated, op: Weighted) -> Operator:
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    scale = weight_scale(weight, bias, source)
    bias_type = torch.int32 if source.bits == 8 else torch.int64
    return replace(
        op,
        weight=weight_codes(weight, scale).to(torch.int8).cpu().numpy(),
        bias=torch.round(bias / (scale * source.scale)).to(bias_type).cpu().numpy(),
        weight_scale=scale.cpu().numpy(),
    )


TRAINING: dict[type[Operator], TrainingForms] = dict.fromkeys(
    (Conv2d, ConvTranspose2d, Linear), TrainingForms(_real, _codes, _shipped)
)
