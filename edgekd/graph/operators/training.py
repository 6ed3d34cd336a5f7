"""The training forms of every operator, collected from all families."""

from collections.abc import Sequence

from torch import Tensor

from edgekd.graph.operators import (
    attention_training,
    boundaries_training,
    elementwise_training,
    embedding_training,
    movement_training,
    normalisation_training,
    pooling_training,
    resize_training,
    unary_training,
    weighted_training,
)
from edgekd.graph.operators.forms import TrainingForms
from edgekd.graph.structure import Operator

FAMILIES = (
    weighted_training, elementwise_training, unary_training, pooling_training, movement_training, boundaries_training,
    attention_training, normalisation_training, embedding_training, resize_training,
)  # fmt: skip

TRAINING: dict[type[Operator], TrainingForms] = {
    kind: forms for family in FAMILIES for kind, forms in family.TRAINING.items()
}


def in_float(op: Operator, *values: Tensor, shape: Sequence[int]) -> Tensor:
    """Compute an operator's real output, (N, *shape), from the real values of its inputs and then its parameters."""
    return TRAINING[type(op)].real(op, *values, shape=shape)
