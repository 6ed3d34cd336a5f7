"""Operators that move codes as they move real values, and Requantize, which looks its codes up in a table."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.operators.arithmetic_training import exactly, input_codes, limits
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.operators.movement import rescale
from edgekd.graph.ops import Concat, Constant, Pad, Requantize, Reshape, Slice, Take, Transpose
from edgekd.graph.structure import QMAX, QMIN, Operator


def _pad(op: Pad, x: Tensor, value: float) -> Tensor:
    """Pad each axis with `value`."""
    return F.pad(x, [n for amounts in reversed(op.amounts) for n in amounts], value=value)


def _pad_codes(sim: Simulated, op: Pad, x: Tensor) -> Tensor:
    if not op.value:
        return _pad(op, x, 0.0)
    return _pad(op, x, float(input_codes(torch.tensor(op.value), sim.quantization(op.output))))


def _requantize_codes(sim: Simulated, op: Requantize, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    sim.observe(op.output, lambda: x * source.scale)
    output = sim.quantization(op.output)
    difference = np.arange(QMIN, QMAX + 1) - source.zero_point
    table = rescale(difference, source, output, sim.kernels).astype(np.float32) - output.zero_point
    codes = torch.from_numpy(table).to(x)[(x.detach() + (source.zero_point - QMIN)).long()]
    return exactly(codes, (x * (source.scale / output.scale)).clamp(*limits("none", output)))


def _slice(op: Slice, x: Tensor) -> Tensor:
    """Slice every axis but the batch."""
    return x[(slice(None), *(slice(*r) for r in op.ranges))]


def _transpose(op: Transpose, x: Tensor) -> Tensor:
    """Permute the axes behind the batch."""
    return x.permute(0, *(axis + 1 for axis in op.order))


def _concatenate(op: Concat, inputs: Sequence[Tensor]) -> Tensor:
    """Concatenate the inputs; a constant, which has no batch, is repeated for each sample."""
    samples = max(map(len, inputs))
    return torch.cat([x.expand(samples, *x.shape[1:]) for x in inputs], dim=op.axis + 1)


def _take(op: Take, x: Tensor) -> Tensor:
    """Gather the positions axis by axis."""
    for axis, positions in enumerate(op.positions):
        if positions is not None:
            x = x.index_select(axis + 1, torch.tensor(positions, device=x.device))
    return x


def _constant_codes(sim: Simulated, op: Constant) -> Tensor:
    return input_codes(sim.parameters_of(op)[0], sim.quantization(op.output))[None]


def _shipped_constant(sim: Simulated, op: Constant) -> Operator:
    (value,) = sim.parameters_of(op)
    return replace(op, value=quantize(value.cpu().numpy(), sim.quantization(op.output)))


TRAINING: dict[type[Operator], TrainingForms] = {
    Pad: TrainingForms(lambda op, x, shape: _pad(op, x, op.value), _pad_codes, any_bits=True),
    Slice: TrainingForms(lambda op, x, shape: _slice(op, x), lambda sim, op, x: _slice(op, x), any_bits=True),
    Reshape: TrainingForms(
        lambda op, x, shape: x.reshape(len(x), *shape),
        lambda sim, op, x: x.reshape(len(x), *sim.tensors[op.output].shape),
        any_bits=True,
    ),
    Transpose: TrainingForms(
        lambda op, x, shape: _transpose(op, x), lambda sim, op, x: _transpose(op, x), any_bits=True
    ),
    Concat: TrainingForms(
        lambda op, *x, shape: _concatenate(op, x), lambda sim, op, *x: _concatenate(op, x), any_bits=True
    ),
    Take: TrainingForms(lambda op, x, shape: _take(op, x), lambda sim, op, x: _take(op, x), any_bits=True),
    Constant: TrainingForms(lambda op, value, shape: value[None], _constant_codes, _shipped_constant, any_bits=True),
    Requantize: TrainingForms(lambda op, x, shape: x, _requantize_codes),
}
