"""The boundaries of a float island, where codes minus their zero point become real values and back."""

from torch import Tensor

from edgekd.graph.operators.arithmetic_training import input_codes
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Operator


def _dequantize(sim: Simulated, op: Dequantize, x: Tensor) -> Tensor:
    return x * sim.quantization(op.inputs[0]).scale


def _quantize(sim: Simulated, op: Quantize, x: Tensor) -> Tensor:
    sim.observe(op.output, lambda: x)
    return input_codes(x, sim.quantization(op.output))


TRAINING: dict[type[Operator], TrainingForms] = {
    Dequantize: TrainingForms(lambda op, x, shape: x, _dequantize, any_bits=True),
    Quantize: TrainingForms(lambda op, x, shape: x, _quantize, any_bits=True),
}
