"""Functions of one value: the kernels' own table of codes, and a table of the function's slopes for the gradient."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic_training import limits, look_up
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.operators.unary import CODES, shipped, table
from edgekd.graph.ops import Unary
from edgekd.graph.structure import QMIN, Operator, Quantization

FUNCTIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sigmoid": lambda x, alpha: torch.sigmoid(x),
    "tanh": lambda x, alpha: torch.tanh(x),
    "hard_swish": lambda x, alpha: F.hardswish(x),
    "gelu": lambda x, alpha: F.gelu(x),
    "gelu_tanh": lambda x, alpha: F.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x, alpha: F.leaky_relu(x, alpha),
    "elu": lambda x, alpha: F.elu(x, alpha),
    "softplus": lambda x, alpha: F.softplus(x),
    "mish": lambda x, alpha: F.mish(x),
}
"""function -> (values, alpha) -> values in the same precision: `unary.FUNCTIONS` with gradients."""


class _LookUp(torch.autograd.Function):
    """Looks codes minus their zero point up in a table of 256, whose first row is for code -128."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, slopes: Tensor, zero_point: int) -> Tensor:
        rows = (x + (zero_point - QMIN)).to(torch.uint8).flatten()
        ctx.save_for_backward(rows, slopes)
        return look_up(values, rows).reshape(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, slopes = ctx.saved_tensors
        return look_up(slopes, rows).reshape(gradients[0].shape) * gradients[0], None, None, None


def _codes(sim: Simulated, op: Unary, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    sim.observe(op.output, lambda: FUNCTIONS[op.function](x * source.scale, op.alpha))
    output = sim.quantization(op.output)
    codes = torch.tensor(table(shipped(op, source, output, sim.kernels), source, output, sim.kernels))
    values = codes.to(x) - output.zero_point
    slopes = _slopes(op.function, op.alpha, source, output).to(x)
    result: Tensor = _LookUp.apply(x, values, slopes, source.zero_point)  # type: ignore[no-untyped-call]
    return result


@lru_cache(maxsize=1024)
def _slopes(function: str, alpha: float, source: Quantization, output: Quantization) -> Tensor:
    """The slope (256,) in output codes per input code, by the function's derivative; 0 where the output saturates."""
    x = (torch.from_numpy(CODES - source.zero_point) * source.scale).requires_grad_()
    with torch.enable_grad():
        steps = (FUNCTIONS[function](x, alpha) / output.scale).clamp(*limits("none", output))
        (slopes,) = torch.autograd.grad(steps.sum(), x)
    return slopes * source.scale


def _shipped(sim: Simulated, op: Unary) -> Operator:
    return shipped(op, sim.quantization(op.inputs[0]), sim.quantization(op.output), sim.kernels)


TRAINING: dict[type[Operator], TrainingForms] = {
    Unary: TrainingForms(lambda op, x, shape: FUNCTIONS[op.function](x, op.alpha), _codes, _shipped)
}
