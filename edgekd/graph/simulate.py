"""The graph as a torch module: in float, and fake-quantised with the deployed arithmetic, so that it can be trained.

The simulation computes on integer-valued codes in float32, so it rounds where the device rounds: it is exact while
accumulators stay below 2^24. Gradients pass straight through rounding and stop where a value saturates
(Jacob et al., 2018; Bengio et al., 2013). Weight scales follow the weights; activation ranges follow the activations
while `observing`, then stand still.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.graph import integer
from edgekd.graph.ops import (
    QMAX,
    QMIN,
    SAME_SCALE,
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

MOMENTUM = 0.05
"""Share of a new batch's range in the running range, while observing."""


class Simulation(nn.Module):
    """A float graph's weights as parameters and its activation ranges as buffers.

    Args:
        graph: a float graph.
        kernels: whose ADD the fake-quantised form computes.

    Attributes:
        fake_quantized: compute with integer codes (else in float).
        observing: let ranges follow the activations.
    """

    def __init__(self, graph: Graph, kernels: Kernels = "xnnpack") -> None:
        super().__init__()
        self.graph, self.kernels = graph, kernels
        self.fake_quantized, self.observing = False, False
        self.scale_owner = scale_owners(graph)
        self.weights = nn.ParameterList(nn.Parameter(torch.tensor(op.weight)) for op in graph.weighted())
        self.biases = nn.ParameterList(nn.Parameter(torch.tensor(op.bias)) for op in graph.weighted())
        self.weighted = {op.name: i for i, op in enumerate(graph.weighted())}
        self.ranged = {name: i for i, name in enumerate(dict.fromkeys(self.scale_owner.values()))}
        self.lows: Tensor
        self.highs: Tensor
        self.register_buffer("lows", torch.zeros(len(self.ranged)))
        self.register_buffer("highs", torch.zeros(len(self.ranged)))

    def forward(self, x: Tensor) -> Tensor:
        """Values in (N, *input shape), values out (N, *output shape): multiples of a scale if fake-quantised."""
        return self.trace(x)[self.graph.output]

    def trace(self, x: Tensor) -> dict[str, Tensor]:
        """Every tensor's values, by name."""
        if not self.fake_quantized:
            return self._float(x)
        codes = self.trace_codes(x)
        return {name: self._values(name, value) for name, value in codes.items()}

    def codes(self, x: Tensor) -> Tensor:
        """The output's integer codes, as float32: what the device should say."""
        return self.trace_codes(x)[self.graph.output]

    def parameters_of(self, op: Weighted) -> tuple[Tensor, Tensor]:
        """The trained float weight and bias of an operator."""
        i = self.weighted[op.name]
        return self.weights[i], self.biases[i]

    def quantization(self, name: str) -> Quantization:
        """A tensor's scale and zero point by its range now."""
        i = self.ranged[self.scale_owner[name]]
        return from_range(float(self.lows[i]), float(self.highs[i]))

    @torch.no_grad()
    def calibrate(self, batches: list[Tensor]) -> None:
        """Set every range to the mean of the batches' lowest and highest values."""
        ranges = []
        for x in batches:
            values = self._float(x)
            owned = [values[name] for name in self.ranged]
            ranges.append(torch.stack([torch.stack([v.min(), v.max()]) for v in owned]))
        mean = torch.stack(ranges).mean(0)
        self.lows.copy_(mean[:, 0])
        self.highs.copy_(mean[:, 1])

    @torch.no_grad()
    def quantized_graph(self) -> Graph:
        """The int8 graph that the weights and ranges now stand for."""
        operators: list[Operator] = []
        for op in self.graph.operators:
            if isinstance(op, Weighted):
                weight, bias = self.parameters_of(op)
                scale = weight_scale(weight, bias, self.quantization(op.inputs[0]).scale)
                step = scale * self.quantization(op.inputs[0]).scale
                op = replace(
                    op,
                    weight=_weight_codes(weight, scale).to(torch.int8).cpu().numpy(),
                    bias=torch.round(bias / step).to(torch.int32).cpu().numpy(),
                    weight_scale=scale.cpu().numpy(),
                )
            operators.append(op)
        tensors = {
            name: replace(tensor, quantization=self.quantization(name)) for name, tensor in self.graph.tensors.items()
        }
        return replace(self.graph, tensors=tensors, operators=tuple(operators))

    def _float(self, x: Tensor) -> dict[str, Tensor]:
        values = {self.graph.input: x}
        for op in self.graph.operators:
            inputs = [values[name] for name in op.inputs]
            extra = self.parameters_of(op) if isinstance(op, Weighted) else ()
            values[op.output] = FLOAT[type(op)](op, *inputs, *extra, shape=self.graph.tensors[op.output].shape)
        return values

    def trace_codes(self, x: Tensor) -> dict[str, Tensor]:
        """Every tensor's integer codes, by name, as float32."""
        self._observe(self.graph.input, x)
        q = self.quantization(self.graph.input)
        values = {self.graph.input: _saturate(_round(x / q.scale) + q.zero_point)}
        for op in self.graph.operators:
            values[op.output] = CODES[type(op)](self, op, *(values[name] for name in op.inputs))
        return values

    def _values(self, name: str, codes: Tensor) -> Tensor:
        q = self.quantization(name)
        return (codes - q.zero_point) * q.scale

    @torch.no_grad()
    def _observe(self, name: str, values: Tensor) -> None:
        if not (self.observing and self.training):
            return
        i = self.ranged[name]
        self.lows[i].lerp_(values.min(), MOMENTUM)
        self.highs[i].lerp_(values.max(), MOMENTUM)


def scale_owners(graph: Graph) -> dict[str, str]:
    """tensor -> the tensor whose range it shares: itself, or its input's through operators that can't rescale."""
    owners = {graph.input: graph.input}
    for op in graph.operators:
        owners[op.output] = owners[op.inputs[0]] if isinstance(op, SAME_SCALE) else op.output
    return owners


def from_range(low: float, high: float) -> Quantization:
    """The scale and zero point that cover [low, high] and hold zero exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, 1e-6) / (QMAX - QMIN))
    zero_point = int(np.clip(np.rint(QMIN - low / scale), QMIN, QMAX))
    return Quantization(float(scale), zero_point)


def weight_scale(weight: Tensor, bias: Tensor, input_scale: float) -> Tensor:
    """(out,): the largest weight of a channel becomes code 127, unless its bias asks for a coarser scale."""
    largest = weight.detach().abs().flatten(1).amax(1)
    for_bias = bias.detach().abs() / (input_scale * BIAS_CODES)
    return torch.maximum(largest / QMAX, for_bias).clamp_min(1e-9)


def _round(x: Tensor) -> Tensor:
    """Half to even; the gradient passes straight through."""
    return x + (torch.round(x) - x).detach()


def _exactly(value: Tensor, gradient_of: Tensor) -> Tensor:
    """`value`, with the gradient of `gradient_of`, which it equals but for rounding."""
    return value.detach() + (gradient_of - gradient_of.detach())


def _saturate(codes: Tensor, low: int = QMIN, high: int = QMAX) -> Tensor:
    return codes.clamp(low, high)


def _per_channel(scale: Tensor, like: Tensor) -> Tensor:
    return scale.reshape(1, -1, *[1] * (like.dim() - 2))


def _weight_codes(weight: Tensor, scale: Tensor) -> Tensor:
    return _round(weight / scale.reshape(-1, *[1] * (weight.dim() - 1))).clamp(-QMAX, QMAX)


def _activate(x: Tensor, activation: Activation) -> Tensor:
    if activation == "relu6":
        return x.clamp(0, 6)
    return F.relu(x) if activation == "relu" else x


# Float forms: (op, inputs..., weight, bias) -> values.


def _conv(op: Conv2d, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    top, bottom, left, right = op.padding
    if top == bottom and left == right:
        return F.conv2d(x, weight, bias, op.stride, (top, left), op.dilation, op.groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, op.stride, 0, op.dilation, op.groups)


def _padded(op: Pad, x: Tensor, value: float) -> Tensor:
    return F.pad(x, [n for amounts in reversed(op.amounts) for n in amounts], value=value)


def _max_pooled(op: MaxPool2d, x: Tensor, lowest: float) -> Tensor:
    top, bottom, left, right = op.padding
    return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=lowest), op.kernel, op.stride)


def _sliced(op: Slice, x: Tensor) -> Tensor:
    return x[(slice(None), *(slice(*r) for r in op.ranges))]


FLOAT: dict[type[Operator], Callable[..., Tensor]] = {
    Conv2d: lambda op, x, w, b, shape: _activate(_conv(op, x, w, b), op.activation),
    Linear: lambda op, x, w, b, shape: _activate(F.linear(x, w, b), op.activation),
    Add: lambda op, x, y, shape: _activate(x + y, op.activation),
    Relu: lambda op, x, shape: _activate(x, op.activation),
    GlobalAveragePool: lambda op, x, shape: x.mean((2, 3)),
    MaxPool2d: lambda op, x, shape: _max_pooled(op, x, float("-inf")),
    AveragePool2d: lambda op, x, shape: F.avg_pool2d(x, op.kernel, op.stride),
    Pad: lambda op, x, shape: _padded(op, x, 0.0),
    Slice: lambda op, x, shape: _sliced(op, x),
    Reshape: lambda op, x, shape: x.reshape(len(x), *shape),
}


# Fake-quantised forms: (simulation, op, codes of the inputs...) -> codes of the output.


def _weighted_codes(sim: Simulation, op: Conv2d | Linear, x: Tensor) -> Tensor:
    source = sim.quantization(op.inputs[0])
    weight, bias = sim.parameters_of(op)
    scale = weight_scale(weight, bias, source.scale)
    step = scale * source.scale
    weight_codes, bias_codes = _weight_codes(weight, scale), _round(bias / step)
    shifted = x - source.zero_point
    if isinstance(op, Conv2d):
        acc = _conv(op, shifted, weight_codes, bias_codes)
    else:
        acc = F.linear(shifted, weight_codes, bias_codes)
    sim._observe(op.output, _activate(acc * _per_channel(step, acc), op.activation))
    output = sim.quantization(op.output)
    codes = _round(acc * _per_channel(step / output.scale, acc)) + output.zero_point
    return _saturate(codes, *activation_range(op.activation, output))


def _add_codes(sim: Simulation, op: Add, x: Tensor, y: Tensor) -> Tensor:
    a, b = (sim.quantization(name) for name in op.inputs)
    sim._observe(op.output, _activate((x - a.zero_point) * a.scale + (y - b.zero_point) * b.scale, op.activation))
    output = sim.quantization(op.output)
    total = x * (a.scale / output.scale) + y * (b.scale / output.scale)
    if sim.kernels == "xnnpack":
        by_a, by_b, shift = integer.fixed_point_add(a, b, output)
        scaled = (x.double() - a.zero_point) * by_a + (y.double() - b.zero_point) * by_b
        codes = torch.floor(scaled / 2.0**shift + 0.5) + output.zero_point
    else:
        ratio_a, ratio_b, constant = integer.float_add(a, b, output)
        partial = ((y.double() - QMIN) * ratio_b + constant).float()
        codes = torch.round(((x.double() - QMIN) * ratio_a + partial.double()).float()) + QMIN
    return _saturate(_exactly(codes.float(), total), *activation_range(op.activation, output))


def _global_average_pool_codes(sim: Simulation, op: GlobalAveragePool, x: Tensor) -> Tensor:
    source, count = sim.quantization(op.inputs[0]), x.shape[2] * x.shape[3]
    acc = (x - source.zero_point).sum((2, 3))
    sim._observe(op.output, acc * (source.scale / count))
    output = sim.quantization(op.output)
    scale = (np.float32(source.scale) / np.float32(output.scale)) / np.float32(count)
    return _saturate(_round(acc * float(scale)) + output.zero_point)


def _average_pool_codes(sim: Simulation, op: AveragePool2d, x: Tensor) -> Tensor:
    count = op.kernel[0] * op.kernel[1]
    mean = F.avg_pool2d(x, op.kernel, op.stride)
    if sim.kernels == "xnnpack":
        total = torch.round(mean.detach() * count)
        return _saturate(_exactly(torch.floor((total.abs() + count // 2) / count) * total.sign(), mean))
    q = sim.quantization(op.output)
    values = (x.detach() - q.zero_point) * q.scale  # averaged one by one, as onnxruntime does
    total = torch.zeros_like(mean)
    for i in range(op.kernel[0]):
        for j in range(op.kernel[1]):
            rows = slice(i, i + (mean.shape[2] - 1) * op.stride[0] + 1, op.stride[0])
            columns = slice(j, j + (mean.shape[3] - 1) * op.stride[1] + 1, op.stride[1])
            total = total + values[:, :, rows, columns]
    shifted = total / count / q.scale + (q.zero_point - QMIN)
    return _saturate(_exactly(torch.round(shifted) + QMIN, mean))


def _relu_codes(sim: Simulation, op: Relu, x: Tensor) -> Tensor:
    return x.clamp(*activation_range(op.activation, sim.quantization(op.output)))


CODES: dict[type[Operator], Callable[..., Tensor]] = {
    Conv2d: _weighted_codes,
    Linear: _weighted_codes,
    Add: _add_codes,
    Relu: _relu_codes,
    GlobalAveragePool: _global_average_pool_codes,
    MaxPool2d: lambda sim, op, x: _max_pooled(op, x, QMIN),
    AveragePool2d: _average_pool_codes,
    Pad: lambda sim, op, x: _padded(op, x, float(sim.quantization(op.output).zero_point)),
    Slice: lambda sim, op, x: _sliced(op, x),
    Reshape: lambda sim, op, x: x.reshape(len(x), *sim.graph.tensors[op.output].shape),
}
