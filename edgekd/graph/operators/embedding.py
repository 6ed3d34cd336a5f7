"""The lookup of embeddings in a table."""

from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Array, Kernels, Operator


def _embedding(op: Embedding, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    rows: Array = op.weight[inputs[0]]
    return rows


REFERENCE: dict[type[Operator], ReferenceForm] = {Embedding: _embedding}
