"""Rows of a table, chosen by indices."""

from edgekd.graph.operators.arithmetic import Form, Scales
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Array, Kernels, Operator


def _embedding(op: Embedding, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    rows: Array = op.weight[inputs[0]]
    return rows


FORMS: dict[type[Operator], Form] = {Embedding: _embedding}
