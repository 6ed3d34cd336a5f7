"""Operators that move codes, which less their zero point move like real values; Requantize looks them up in a table."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from edgekd.graph.floating import concatenated, padded, sliced, taken, transposed_axes
from edgekd.graph.operators.arithmetic_training import Simulated, exactly, input_codes, limits
from edgekd.graph.operators.movement import rescaled
from edgekd.graph.ops import Concat, Constant, Pad, Requantize, Reshape, Slice, Take, Transpose
from edgekd.graph.structure import QMAX, QMIN, Operator


def _pad(sim: Simulated, op: Pad, x: Tensor) -> Tensor:
    if not op.value:
        return padded(op, x, 0.0)
    return padded(op, x, float(input_codes(torch.tensor(op.value), sim.quantization(op.output))))


def _requantize(sim: Simulated, op: Requantize, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    sim.observe(op.output, lambda: x * source.scale)
    output = sim.quantization(op.output)
    centred = np.arange(QMIN, QMAX + 1) - source.zero_point
    table = rescaled(centred, source, output, sim.kernels).astype(np.float32) - output.zero_point
    found = torch.from_numpy(table).to(x)[(x.detach() + (source.zero_point - QMIN)).long()]
    return exactly(found, (x * (source.scale / output.scale)).clamp(*limits("none", output)))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {
    Constant: lambda sim, op: input_codes(sim.parameters_of(op)[0], sim.quantization(op.output))[None],
    Pad: _pad,
    Slice: lambda sim, op, x: sliced(op, x),
    Reshape: lambda sim, op, x: x.reshape(len(x), *sim.tensors[op.output].shape),
    Transpose: lambda sim, op, x: transposed_axes(op, x),
    Concat: lambda sim, op, *x: concatenated(op, x),
    Take: lambda sim, op, x: taken(op, x),
    Requantize: _requantize,
}
