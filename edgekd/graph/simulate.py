"""The graph as a torch module: in float, and fake-quantised with the deployed arithmetic, so that it can be trained.

The simulation computes on integer-valued codes in float32, so it rounds where the device rounds: it is exact while
accumulators stay below 2^24. Weight scales follow the weights; activation ranges follow the activations while
`observing`, then stand still.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.graph.fake_quant import CODES, input_codes, weight_codes, weight_scale
from edgekd.graph.floating import FLOAT
from edgekd.graph.ops import QMAX, QMIN, SAME_SCALE, Graph, Kernels, Operator, Quantization, Weighted

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
        if not self.fake_quantized:
            return self._float(x)[self.graph.output]
        return self._codes(x)[self.graph.output] * self.quantization(self.graph.output).scale

    def trace_codes(self, x: Tensor) -> dict[str, Tensor]:
        """Every tensor's integer codes, by name, as float32: what the device should compute."""
        return {name: codes + self.quantization(name).zero_point for name, codes in self._codes(x).items()}

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
                    weight=weight_codes(weight, scale).to(torch.int8).cpu().numpy(),
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

    def _codes(self, x: Tensor) -> dict[str, Tensor]:
        """Codes less their zero points."""
        self.observe(self.graph.input, lambda: x)
        values = {self.graph.input: input_codes(x, self.quantization(self.graph.input))}
        for op in self.graph.operators:
            values[op.output] = CODES[type(op)](self, op, *(values[name] for name in op.inputs))
        return values

    @torch.no_grad()
    def observe(self, name: str, computed: Callable[[], Tensor]) -> None:
        """Let a range follow values, which are computed only where it does."""
        if not (self.observing and self.training):
            return
        values, i = computed(), self.ranged[name]
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
