"""Operators that move codes: codes less their zero point move like real values."""

from collections.abc import Callable

from torch import Tensor

from edgekd.graph.fake_quant.arithmetic import input_codes
from edgekd.graph.floating import padded, sliced
from edgekd.graph.ops import Constant, Pad, Reshape, Slice
from edgekd.graph.structure import Operator

FORMS: dict[type[Operator], Callable[..., Tensor]] = {
    Constant: lambda sim, op: input_codes(sim.parameters_of(op)[0], sim.quantization(op.output))[None],
    Pad: lambda sim, op, x: padded(op, x, 0.0),
    Slice: lambda sim, op, x: sliced(op, x),
    Reshape: lambda sim, op, x: x.reshape(len(x), *sim.tensors[op.output].shape),
}
