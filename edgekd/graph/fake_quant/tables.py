"""Functions of one value: the kernels' own table of codes, with the gradient of the function."""

from collections.abc import Callable

import torch
from torch import Tensor

from edgekd.graph.fake_quant.arithmetic import Simulated, exactly, limits
from edgekd.graph.functions import FUNCTIONS
from edgekd.graph.integer.tables import shipped, table
from edgekd.graph.ops import Unary
from edgekd.graph.structure import QMIN, Operator


def _unary(sim: Simulated, op: Unary, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    values = FUNCTIONS[op.function](x * source.scale, op.alpha)
    sim.observe(op.output, lambda: values)
    output = sim.quantization(op.output)
    found = table(shipped(op, source, output, sim.kernels), source, output, sim.kernels)
    less_zero_point = torch.tensor(found, dtype=x.dtype, device=x.device) - output.zero_point
    codes = less_zero_point[x.detach().int() + (source.zero_point - QMIN)]
    return exactly(codes, (values / output.scale).clamp(*limits("none", output)))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {Unary: _unary}
