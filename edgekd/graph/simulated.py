"""Executes a graph's operators for training, on integer codes in the deployed arithmetic and with a gradient.

A family's training form of an operator is exact and fast. Where there is none, where it returns None, and for codes of
16 bits, the integer reference computes the codes and the float form the gradient.
"""

import torch
from torch import Tensor

from edgekd.graph import reference
from edgekd.graph.operators.arithmetic_training import exactly, limits
from edgekd.graph.operators.forms import Simulated
from edgekd.graph.operators.training import TRAINING, in_float
from edgekd.graph.structure import Operator


def codes(sim: Simulated, op: Operator, *inputs: Tensor) -> Tensor:
    """Compute an operator's output from its inputs, all as codes minus their zero point."""
    forms = TRAINING[type(op)]
    wide = any(sim.tensors[name].bits == 16 for name in (*op.inputs, op.output))
    if forms.codes is not None and (forms.any_bits or not wide):
        output = forms.codes(sim, op, *inputs)
        if output is not None:
            return output
    return _by_reference(sim, op, *inputs)


def shipped(sim: Simulated, op: Operator) -> Operator:
    """The operator with the parameters of the exported file: integer codes and their scales."""
    form = TRAINING[type(op)].shipped
    return form(sim, op) if form else op


def _by_reference(sim: Simulated, op: Operator, *inputs: Tensor) -> Tensor:
    """Compute the codes by the integer reference in NumPy, which is slow, and their gradient by the float form."""
    reals, integers = [], []
    for name, x in zip(op.inputs, inputs, strict=True):
        if sim.tensors[name].kind == "index":
            reals.append(x)
            integers.append(x.detach().cpu().numpy())
            continue
        q = sim.quantization(name)
        reals.append(x * q.scale)
        integers.append((x.detach() + q.zero_point).to(torch.int8 if q.bits == 8 else torch.int16).cpu().numpy())
    values = in_float(op, *reals, *sim.parameters_of(op), shape=sim.tensors[op.output].shape)
    sim.observe(op.output, lambda: values)
    output = sim.quantization(op.output)
    with torch.no_grad():
        result = reference.REFERENCE[type(op)](shipped(sim, op), sim, integers, sim.kernels)
    exact = torch.from_numpy(result).to(values) - output.zero_point
    low, high = limits("none", output)
    return exactly(exact, (values / output.scale).clamp(low, high))
