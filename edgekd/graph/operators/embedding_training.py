"""Rows of a trained table, rounded as they ship."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic_training import Simulated, input_codes
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Operator


def _embedding(sim: Simulated, op: Embedding, indices: Tensor) -> Tensor:
    """The rows that are asked for, rounded: rounding the whole table at each step would cost more than the network."""
    (weight,) = sim.parameters_of(op)
    return input_codes(F.embedding(indices, weight), sim.quantization(op.output))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {Embedding: _embedding}
