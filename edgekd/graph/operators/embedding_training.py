"""The lookup of embeddings in a table that is trained through its rounding."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.operators.arithmetic_training import input_codes
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Operator


def _codes(sim: Simulated, op: Embedding, indices: Tensor) -> Tensor:
    """Look up the rows and round them alone; to round the whole table at each step would cost more than the network."""
    (weight,) = sim.parameters_of(op)
    return input_codes(F.embedding(indices, weight), sim.quantization(op.output))


def _shipped(sim: Simulated, op: Embedding) -> Operator:
    (weight,) = sim.parameters_of(op)
    return replace(op, weight=quantize(weight.cpu().numpy(), sim.quantization(op.output)))


TRAINING: dict[type[Operator], TrainingForms] = {
    Embedding: TrainingForms(lambda op, x, w, shape: F.embedding(x, w), _codes, _shipped)
}
