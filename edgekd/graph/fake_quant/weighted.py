"""Convolutions and linear layers: weights and biases are rounded as they ship, and trained through the rounding."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.fake_quant.arithmetic import Simulated, limits, requantized, round_straight
from edgekd.graph.floating import activated, convolved
from edgekd.graph.ops import Conv2d, Linear
from edgekd.graph.structure import QMAX, Operator

BIAS_CODES = 2.0**22
"""A weight scale is at least so large that the bias stays below this many steps, and accumulators below 2^24."""


def weight_scale(weight: Tensor, bias: Tensor, input_scale: float) -> Tensor:
    """(out,): the largest weight of a channel becomes code 127, unless its bias asks for a coarser scale."""
    largest = weight.detach().abs().flatten(1).amax(1)
    for_bias = bias.detach().abs() / (input_scale * BIAS_CODES)
    return torch.maximum(largest / QMAX, for_bias).clamp_min(1e-9)


def weight_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """Integer-valued, in [-127, 127]."""
    return round_straight(weight / scale.reshape(-1, *[1] * (weight.dim() - 1))).clamp(-QMAX, QMAX)


def _weighted(sim: Simulated, op: Conv2d | Linear, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    scale = weight_scale(weight, bias, source.scale)
    step = scale * source.scale
    codes, bias_codes = weight_codes(weight, scale), round_straight(bias / step)
    acc = convolved(op, x, codes, bias_codes) if isinstance(op, Conv2d) else F.linear(x, codes, bias_codes)
    sim.observe(op.output, lambda: activated(_ends(acc) * step, op.activation))
    output = sim.quantization(op.output)
    return requantized(acc, _per_channel(step / output.scale, acc), *limits(op.activation, output))


def _ends(acc: Tensor) -> Tensor:
    """The lowest and the highest of each channel, (2, channels): enough for a range, and cheaper than all values."""
    others = [axis for axis in range(acc.dim()) if axis != 1]
    return torch.stack([acc.detach().amin(others), acc.detach().amax(others)])


def _per_channel(scale: Tensor, like: Tensor) -> Tensor:
    return scale.reshape(1, -1, *[1] * (like.dim() - 2))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {
    Conv2d: _weighted,
    Linear: _weighted,
}
