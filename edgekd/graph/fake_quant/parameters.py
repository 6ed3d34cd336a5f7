"""The trained parameters of an operator as they ship: integer codes and their scales."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.operators.arithmetic_training import Simulated
from edgekd.graph.operators.unary import shipped
from edgekd.graph.operators.weighted_training import weight_codes, weight_scale
from edgekd.graph.ops import Constant, Conv2d, ConvTranspose2d, Embedding, LayerNorm, Linear, Prelu, Unary
from edgekd.graph.structure import QMAX, Operator, Weighted


def _weighted(sim: Simulated, op: Weighted) -> Operator:
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


def _constant(sim: Simulated, op: Constant) -> Operator:
    (value,) = sim.parameters_of(op)
    return replace(op, value=quantize(value.cpu().numpy(), sim.quantization(op.output)))


def _embedding(sim: Simulated, op: Embedding) -> Operator:
    (weight,) = sim.parameters_of(op)
    return replace(op, weight=quantize(weight.cpu().numpy(), sim.quantization(op.output)))


def _layer_norm(sim: Simulated, op: LayerNorm) -> Operator:
    weight, bias = (values.detach().cpu().numpy() for values in sim.parameters_of(op))
    return replace(op, weight=weight, bias=bias)


def _prelu(sim: Simulated, op: Prelu) -> Operator:
    """One scale for all channels, as TFLite asks."""
    slope = sim.parameters_of(op)[0].detach().cpu().numpy()
    scale = np.maximum(np.abs(slope).max(), np.float32(1e-9)) / np.float32(QMAX)
    return replace(op, slope=np.rint(slope / scale).astype(np.int8), slope_scale=float(scale))


def _unary(sim: Simulated, op: Unary) -> Operator:
    return shipped(op, sim.quantization(op.inputs[0]), sim.quantization(op.output), sim.kernels)


FORMS: dict[type[Operator], Callable[[Simulated, Any], Operator]] = {
    Conv2d: _weighted,
    ConvTranspose2d: _weighted,
    Linear: _weighted,
    Constant: _constant,
    Embedding: _embedding,
    LayerNorm: _layer_norm,
    Prelu: _prelu,
    Unary: _unary,
}
