"""The form of operators that have none of their own here: the integer reference's codes, the float form's gradient."""

import torch
from torch import Tensor

from edgekd.graph import reference
from edgekd.graph.fake_quant import parameters
from edgekd.graph.floating import FLOAT
from edgekd.graph.operators.arithmetic_training import Simulated, exactly, limits
from edgekd.graph.structure import Operator


def by_reference(sim: Simulated, op: Operator, *inputs: Tensor) -> Tensor:
    """Exact by construction, and as slow as NumPy; a family that trains often gets forms of its own."""
    reals, codes = [], []
    for name, x in zip(op.inputs, inputs, strict=True):
        if sim.tensors[name].kind == "index":
            reals.append(x)
            codes.append(x.detach().cpu().numpy())
            continue
        q = sim.quantization(name)
        reals.append(x * q.scale)
        codes.append((x.detach() + q.zero_point).to(torch.int8 if q.bits == 8 else torch.int16).cpu().numpy())
    values = FLOAT[type(op)](op, *reals, *sim.parameters_of(op), shape=sim.tensors[op.output].shape)
    sim.observe(op.output, lambda: values)
    output = sim.quantization(op.output)
    with torch.no_grad():
        shipped = parameters.FORMS[type(op)](sim, op) if type(op) in parameters.FORMS else op
        found = reference.FORMS[type(op)](shipped, sim, codes, sim.kernels)
    exact = torch.from_numpy(found).to(values) - output.zero_point
    low, high = limits("none", output)
    return exactly(exact, (values / output.scale).clamp(low, high))
