"""The fake-quantised form of every operator, in torch: the deployed arithmetic on integer-valued codes in float32.

A form takes the simulation, the operator and its inputs' codes *less their zero points*, and gives its output's codes
in the same way: zero is real zero, so nothing has to be subtracted before a convolution. Gradients pass straight
through rounding and stop where a code saturates (Bengio et al., 2013; Jacob et al., 2018).
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph import integer
from edgekd.graph.floating import activated, convolved, max_pooled, padded, sliced
from edgekd.graph.ops import (
    QMAX,
    QMIN,
    Activation,
    Add,
    AveragePool2d,
    Conv2d,
    GlobalAveragePool,
    Graph,
    Kernels,
    Linear,
    MaxPool2d,
    Operator,
    Pad,
    Quantization,
    Relu,
    Reshape,
    Slice,
    Weighted,
    activation_range,
)

BIAS_CODES = 2.0**22
"""A weight scale is at least so large that the bias stays below this many steps, and accumulators below 2^24."""


class Simulated(Protocol):
    """What the forms need of a simulation."""

    graph: Graph
    kernels: Kernels

    def quantization(self, name: str) -> Quantization:
        """A tensor's scale and zero point."""

    def parameters_of(self, op: Weighted) -> tuple[Tensor, Tensor]:
        """An operator's float weight and bias."""

    def observe(self, name: str, computed: Callable[[], Tensor]) -> None:
        """Let a tensor's range follow its real values."""


def weight_scale(weight: Tensor, bias: Tensor, input_scale: float) -> Tensor:
    """(out,): the largest weight of a channel becomes code 127, unless its bias asks for a coarser scale."""
    largest = weight.detach().abs().flatten(1).amax(1)
    for_bias = bias.detach().abs() / (input_scale * BIAS_CODES)
    return torch.maximum(largest / QMAX, for_bias).clamp_min(1e-9)


def weight_codes(weight: Tensor, scale: Tensor) -> Tensor:
    """Integer-valued, in [-127, 127]."""
    return _round(weight / scale.reshape(-1, *[1] * (weight.dim() - 1))).clamp(-QMAX, QMAX)


def input_codes(x: Tensor, quantization: Quantization) -> Tensor:
    """Real values to codes less their zero point."""
    return _round(x / quantization.scale).clamp(*_limits("none", quantization))


def _limits(activation: Activation, quantization: Quantization) -> tuple[int, int]:
    """The lowest and highest code that an activation lets through, less the zero point."""
    low, high = activation_range(activation, quantization)
    return low - quantization.zero_point, high - quantization.zero_point


def _round(x: Tensor) -> Tensor:
    """Half to even; the gradient passes straight through."""
    return x + (torch.round(x) - x).detach()


def _exactly(value: Tensor, gradient_of: Tensor) -> Tensor:
    """`value`, with the gradient of `gradient_of`, which it equals but for rounding."""
    return value.detach() + (gradient_of - gradient_of.detach())


def _per_channel(scale: Tensor, like: Tensor) -> Tensor:
    return scale.reshape(1, -1, *[1] * (like.dim() - 2))


class _Requantize(torch.autograd.Function):
    """Accumulators times a multiplier, rounded half to even and saturated, in one pass over the memory."""

    @staticmethod
    def forward(ctx: Any, acc: Tensor, multiplier: Tensor, low: int, high: int) -> Tensor:
        codes = (acc * multiplier).round_()
        ctx.save_for_backward((codes >= low) & (codes <= high), multiplier)
        return codes.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        within, multiplier = ctx.saved_tensors
        return gradients[0] * multiplier * within, None, None, None


class _Sum(torch.autograd.Function):
    """Two branches by the kernel's own rule (`added`); the gradient is that of ratio_x * x + ratio_y * y."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        added: Callable[[Tensor, Tensor], Tensor],
        ratios: tuple[float, float],
        *limits: int,
    ) -> Tensor:
        codes = added(x, y)
        ctx.save_for_backward((codes >= limits[0]) & (codes <= limits[1]))
        ctx.ratios = ratios
        return codes.clamp_(*limits)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        passed = gradients[0] * ctx.saved_tensors[0]
        return passed * ctx.ratios[0], passed * ctx.ratios[1], None, None, None, None


def _weighted(sim: Simulated, op: Conv2d | Linear, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    scale = weight_scale(weight, bias, source.scale)
    step = scale * source.scale
    codes, bias_codes = weight_codes(weight, scale), _round(bias / step)
    acc = convolved(op, x, codes, bias_codes) if isinstance(op, Conv2d) else F.linear(x, codes, bias_codes)
    sim.observe(op.output, lambda: activated(_ends(acc) * step, op.activation))
    output = sim.quantization(op.output)
    return _requantized(acc, _per_channel(step / output.scale, acc), *_limits(op.activation, output))


def _ends(acc: Tensor) -> Tensor:
    """The lowest and the highest of each channel, (2, channels): enough for a range, and cheaper than all values."""
    others = [axis for axis in range(acc.dim()) if axis != 1]
    return torch.stack([acc.detach().amin(others), acc.detach().amax(others)])


def _requantized(acc: Tensor, multiplier: Tensor, low: int, high: int) -> Tensor:
    codes: Tensor = _Requantize.apply(acc, multiplier, low, high)  # type: ignore[no-untyped-call]
    return codes


def _add(sim: Simulated, op: Add, x: Tensor, y: Tensor) -> Tensor:
    a, b = (sim.quantization(name) for name in op.inputs)
    sim.observe(op.output, lambda: activated(x * a.scale + y * b.scale, op.activation))
    output = sim.quantization(op.output)
    added = _fixed_point(a, b, output) if sim.kernels == "xnnpack" else _fused_multiply_add(a, b, output)
    ratios = (a.scale / output.scale, b.scale / output.scale)
    codes: Tensor = _Sum.apply(x, y, added, ratios, *_limits(op.activation, output))  # type: ignore[no-untyped-call]
    return codes


def _fixed_point(a: Quantization, b: Quantization, output: Quantization) -> Callable[[Tensor, Tensor], Tensor]:
    """XNNPACK's; 21-bit multipliers times 9-bit codes leave room in an int32."""
    by_a, by_b, shift = integer.fixed_point_add(a, b, output)
    return lambda x, y: ((x.int() * by_a + y.int() * by_b + (1 << (shift - 1))) >> shift).float()


def _fused_multiply_add(a: Quantization, b: Quantization, output: Quantization) -> Callable[[Tensor, Tensor], Tensor]:
    """onnxruntime's, on uint8 codes."""
    ratio_a, ratio_b, constant = integer.float_add(a, b, output)

    def added(x: Tensor, y: Tensor) -> Tensor:
        partial = ((y.double() + (b.zero_point - QMIN)) * ratio_b + constant).float()
        total = ((x.double() + (a.zero_point - QMIN)) * ratio_a + partial.double()).float()
        return torch.round(total) + (QMIN - output.zero_point)

    return added


def _global_average_pool(sim: Simulated, op: GlobalAveragePool, x: Tensor) -> Tensor:
    source, count = sim.quantization(op.inputs[0]), x.shape[2] * x.shape[3]
    acc = x.sum((2, 3))
    sim.observe(op.output, lambda: acc * (source.scale / count))
    output = sim.quantization(op.output)
    scale = (np.float32(source.scale) / np.float32(output.scale)) / np.float32(count)
    return _requantized(acc, torch.tensor(scale, device=acc.device), *_limits("none", output))


def _average_pool(sim: Simulated, op: AveragePool2d, x: Tensor) -> Tensor:
    q, count = sim.quantization(op.output), op.kernel[0] * op.kernel[1]
    mean = F.avg_pool2d(x, op.kernel, op.stride)
    if sim.kernels == "xnnpack":  # TFLite rounds the mean of the codes themselves, half away from zero
        total = torch.round((mean.detach() + q.zero_point) * count)
        codes = torch.floor((total.abs() + count // 2) / count) * total.sign() - q.zero_point
        return _exactly(codes, mean).clamp(*_limits("none", q))
    values, total = x.detach() * q.scale, torch.zeros_like(mean)  # onnxruntime sums real values one by one
    for i in range(op.kernel[0]):
        for j in range(op.kernel[1]):
            rows = slice(i, i + (mean.shape[2] - 1) * op.stride[0] + 1, op.stride[0])
            columns = slice(j, j + (mean.shape[3] - 1) * op.stride[1] + 1, op.stride[1])
            total = total + values[:, :, rows, columns]
    uint8 = torch.round(total / count / q.scale + (q.zero_point - QMIN))
    return _exactly(uint8 + (QMIN - q.zero_point), mean).clamp(*_limits("none", q))


CODES: dict[type[Operator], Callable[..., Tensor]] = {
    Conv2d: _weighted,
    Linear: _weighted,
    Add: _add,
    Relu: lambda sim, op, x: x.clamp(*_limits(op.activation, sim.quantization(op.output))),
    GlobalAveragePool: _global_average_pool,
    MaxPool2d: lambda sim, op, x: max_pooled(op, x, _limits("none", sim.quantization(op.output))[0]),
    AveragePool2d: _average_pool,
    Pad: lambda sim, op, x: padded(op, x, 0.0),
    Slice: lambda sim, op, x: sliced(op, x),
    Reshape: lambda sim, op, x: x.reshape(len(x), *sim.graph.tensors[op.output].shape),
}
