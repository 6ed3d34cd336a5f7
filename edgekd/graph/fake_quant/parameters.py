"""The trained parameters of an operator as they ship: integer codes and their scales."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from edgekd.graph.fake_quant.arithmetic import Simulated
from edgekd.graph.fake_quant.weighted import weight_codes, weight_scale
from edgekd.graph.integer.arithmetic import quantize
from edgekd.graph.ops import Constant, Conv2d, Linear
from edgekd.graph.structure import Operator, Weighted


def _weighted(sim: Simulated, op: Weighted) -> Operator:
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    scale = weight_scale(weight, bias, source.scale)
    return replace(
        op,
        weight=weight_codes(weight, scale).to(torch.int8).cpu().numpy(),
        bias=torch.round(bias / (scale * source.scale)).to(torch.int32).cpu().numpy(),
        weight_scale=scale.cpu().numpy(),
    )


def _constant(sim: Simulated, op: Constant) -> Operator:
    (value,) = sim.parameters_of(op)
    return replace(op, value=quantize(value.cpu().numpy(), sim.quantization(op.output)))


FORMS: dict[type[Operator], Callable[[Simulated, Any], Operator]] = {
    Conv2d: _weighted,
    Linear: _weighted,
    Constant: _constant,
}
