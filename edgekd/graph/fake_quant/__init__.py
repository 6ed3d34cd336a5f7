"""The fake-quantised form of every operator, in torch: the deployed arithmetic on integer-valued codes in float32.

A form takes the simulation, the operator and its inputs' codes *less their zero points*, and gives its output's codes
in the same way: zero is real zero, so nothing has to be subtracted before a convolution. Gradients pass straight
through rounding and stop where a code saturates (Bengio et al., 2013; Jacob et al., 2018). Each family of operators has
a file here, with a table of its forms; an operator without one is computed by the integer reference, with the
gradient of its float form.
"""

from collections.abc import Callable

from torch import Tensor

from edgekd.graph.fake_quant import parameters, reference
from edgekd.graph.operators import (
    attention_training,
    elementwise_training,
    embedding_training,
    movement_training,
    normalisation_training,
    pooling_training,
    resize_training,
    unary_training,
    weighted_training,
)
from edgekd.graph.operators.arithmetic_training import Simulated
from edgekd.graph.ops import Requantize
from edgekd.graph.structure import Operator

FAMILIES = (
    weighted_training, elementwise_training, unary_training, pooling_training, movement_training, attention_training,
    normalisation_training, embedding_training, resize_training,
)  # fmt: skip

CODES: dict[type[Operator], Callable[..., Tensor]] = {
    kind: form for family in FAMILIES for kind, form in family.FORMS.items()
}


MOVES = set(movement_training.FORMS) - {Requantize}


def codes(sim: Simulated, op: Operator, *inputs: Tensor) -> Tensor:
    """The operator's output: codes less their zero point."""
    form = CODES.get(type(op), reference.by_reference)
    if type(op) not in MOVES and any(sim.tensors[name].bits == 16 for name in (*op.inputs, op.output)):
        form = reference.by_reference  # sums of 16-bit codes are too long for float32
    return form(sim, op, *inputs)


def quantized(sim: Simulated, op: Operator) -> Operator:
    """The operator with its parameters as they ship: integer codes and their scales."""
    return parameters.FORMS[type(op)](sim, op) if type(op) in parameters.FORMS else op
