"""Operators of networks for sequences: the kernels' arithmetic on tensors, with the gradient of the real values.

TFLite Micro's softmax is left to the integer reference.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.fake_quant.arithmetic import FixedPoint, Simulated, exactly, input_codes, limits, requantized
from edgekd.graph.fake_quant.reference import by_reference
from edgekd.graph.floating import matrix_product
from edgekd.graph.integer import softmax
from edgekd.graph.integer.arithmetic import f32, fixed_point
from edgekd.graph.integer.layer_norm import epsilon_in_codes
from edgekd.graph.integer.sequence import rounds_once
from edgekd.graph.ops import Embedding, LayerNorm, MatMul, Softmax
from edgekd.graph.structure import Operator, Quantization

EXACT_PRODUCTS = 2**24 // 255**2
"""Of so many products of codes less their zero points float32 holds the sum exactly."""


def _matmul(sim: Simulated, op: MatMul, x: Tensor, y: Tensor) -> Tensor:
    if x.shape[-2 if op.transpose_a else -1] > EXACT_PRODUCTS:
        return by_reference(sim, op, x, y)
    a, b = (sim.quantization(name) for name in op.inputs)
    acc = matrix_product(op, x, y)
    sim.observe(op.output, lambda: torch.stack(torch.aminmax(acc.detach())) * (a.scale * b.scale))
    output = sim.quantization(op.output)
    ratio = f32(a.scale) * f32(b.scale) / f32(output.scale)
    twice = None
    if not rounds_once(b, sim.kernels):
        twice = FixedPoint.of(*fixed_point(np.asarray(a.scale * b.scale / output.scale)), (), acc.device)
    return requantized(acc, torch.tensor(float(ratio), device=acc.device), *limits("none", output), twice)


class _Softmax(torch.autograd.Function):
    """Codes by a table of exponentials, less the zero point; the gradient is that of softmax(scale * x) / step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, scale: float, shared: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        below = x.amax(-1, keepdim=True) - x
        exponentials = table[below.long()]
        total = torch.zeros_like(exponentials[..., :1])
        for i in range(x.shape[-1]):  # one after the other, as the kernels add them
            total = total + exponentials[..., i : i + 1]
        ctx.save_for_backward(exponentials / total)
        ctx.scale = scale
        return shared(exponentials, total).clamp_(0, softmax.STEPS - 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (shares,) = ctx.saved_tensors
        passed = gradients[0] * shares
        found = passed - shares * passed.sum(-1, keepdim=True)
        return found * (ctx.scale * softmax.STEPS), None, None, None


def _softmax(sim: Simulated, op: Softmax, x: Tensor) -> Tensor:
    if sim.kernels == "tflm":
        return by_reference(sim, op, x)
    scale = f32(sim.quantization(op.inputs[0]).scale) * f32(op.beta)
    if sim.kernels == "xnnpack":
        table, shared = softmax.exponentials(scale), _rounded_up
    else:
        table, shared = softmax.scaled_exponentials(scale, x.shape[-1]), _rounded_to_even
    on_device = torch.from_numpy(table).to(x.device)
    codes: Tensor = _Softmax.apply(x, on_device, float(scale), shared)  # type: ignore[no-untyped-call]
    return codes


def _rounded_up(exponentials: Tensor, total: Tensor) -> Tensor:
    """LiteRT's (`softmax.by_table`)."""
    return torch.floor(exponentials * (1 / (total * (1 / softmax.STEPS))) + 0.5)


def _rounded_to_even(exponentials: Tensor, total: Tensor) -> Tensor:
    """onnxruntime's (`softmax.by_scaled_table`)."""
    return torch.round(exponentials * softmax.STEPS / total)


def _layer_norm(sim: Simulated, op: LayerNorm, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    real = F.layer_norm(x * source.scale, x.shape[-1:], weight, bias, op.epsilon)
    sim.observe(op.output, lambda: real)
    output = sim.quantization(op.output)
    with torch.no_grad():
        found = _by_lanes(op, x, source) if sim.kernels == "onnxruntime" else _on_codes(sim, op, x, source)
        if sim.kernels == "onnxruntime":
            weighed = found.double() * weight + bias  # fused: rounded once
            steps = torch.round(weighed.float() / float(f32(output.scale)))
        elif sim.kernels == "xnnpack":
            steps = torch.round((found * weight + bias) * float(f32(1) / f32(output.scale)))
        else:
            quotient = ((found * weight + bias) / float(f32(output.scale))).double()
            steps = (torch.floor(quotient.abs() + 0.5) * quotient.sign()).float()
    low, high = limits("none", output)
    return exactly(steps.clamp(low, high), (real / output.scale).clamp(low, high))


def _on_codes(sim: Simulated, op: LayerNorm, x: Tensor, source: Quantization) -> Tensor:
    """`layer_norm.on_codes` before weight and bias."""
    codes, width = x + source.zero_point, x.shape[-1]
    sums = codes.sum(-1, keepdim=True), (codes * codes).sum(-1, keepdim=True)
    if sim.kernels == "xnnpack":
        mean, square = (total * float(f32(1) / f32(width)) for total in sums)
    else:
        mean, square = (total / width for total in sums)
    variance = (square - mean * mean).clamp_min(0)
    return (codes - mean) / torch.sqrt(variance + float(epsilon_in_codes(op, source)))


def _by_lanes(op: LayerNorm, x: Tensor, source: Quantization) -> Tensor:
    """`layer_norm.by_lanes` before weight and bias."""
    values, width = x * source.scale, x.shape[-1]
    centred = values - values.double().mean(-1, keepdim=True).float()
    in_lanes, in_fours = width // 8 * 8, width // 4 * 4
    exact = centred.double()
    exact = exact * exact
    lanes = torch.zeros_like(centred[..., :8])
    for i in range(0, in_lanes, 8):
        lanes = (exact[..., i : i + 8] + lanes).float()
    for half in (4, 2, 1):
        lanes = lanes[..., :half] + lanes[..., half : 2 * half]
    total = lanes
    for i in range(in_lanes, width):
        one = centred[..., i : i + 1]
        total = total + one * one if i < in_fours else (exact[..., i : i + 1] + total).float()
    return centred * (1 / torch.sqrt(total / width + float(f32(op.epsilon))))


def _embedding(sim: Simulated, op: Embedding, indices: Tensor) -> Tensor:
    """The rows that are asked for, rounded: rounding the whole table at each step would cost more than the network."""
    (weight,) = sim.parameters_of(op)
    return input_codes(F.embedding(indices, weight), sim.quantization(op.output))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {
    MatMul: _matmul,
    Softmax: _softmax,
    LayerNorm: _layer_norm,
    Embedding: _embedding,
}
