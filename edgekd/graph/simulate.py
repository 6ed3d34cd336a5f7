"""The graph as a torch module: in float, and fake-quantised with the deployed arithmetic, so that it can be trained.

The simulation computes on integer-valued codes in float32, so it rounds where the device rounds: it is exact while
accumulators stay below 2^24. Weight scales follow the weights; activation ranges follow the activations while
`observing`, then stand still.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.graph import fake_quant
from edgekd.graph.fake_quant.arithmetic import input_codes
from edgekd.graph.floating import FLOAT
from edgekd.graph.islands import real_tensors
from edgekd.graph.ops import Constant, Dequantize, Quantize
from edgekd.graph.scales import from_range, scale_owners
from edgekd.graph.structure import Graph, Kernels, Operator, Quantization
from edgekd.graph.structure import Tensor as GraphTensor

MOMENTUM = 0.05
"""Share of a new batch's range in the running range, while observing."""


class Simulation(nn.Module):
    """A float graph's parameters as torch's, and its activation ranges as buffers.

    Args:
        graph: a float graph.
        kernels: whose arithmetic the fake-quantised form computes.

    Attributes:
        fake_quantized: compute with integer codes (else in float).
        observing: let ranges follow the activations.
        lows, highs: (ranges,), by the index that `ranged` gives for the tensor that owns the range.
    """

    def __init__(self, graph: Graph, kernels: Kernels = "xnnpack") -> None:
        super().__init__()
        self.graph, self.kernels = graph, kernels
        self.fake_quantized, self.observing = False, False
        self.scale_owner = scale_owners(graph)
        self.real = real_tensors(graph)
        self.trained = nn.ParameterList()
        self.index: dict[str, list[int]] = {}  # operator -> its parameters in `trained`
        for op in graph.operators:
            shared = getattr(op, "shares", "")
            self.index[op.name] = self.index[shared] if shared else [self._add(op, field) for field in op.parameters]
        self.constants = {op.output: self.index[op.name][0] for op in graph.operators if isinstance(op, Constant)}
        self.ranged = {name: i for i, name in enumerate(dict.fromkeys(self.scale_owner.values()))}
        self.lows: Tensor
        self.highs: Tensor
        self.register_buffer("lows", torch.zeros(len(self.ranged)))
        self.register_buffer("highs", torch.zeros(len(self.ranged)))

    def _add(self, op: Operator, field: str) -> int:
        self.trained.append(nn.Parameter(torch.tensor(getattr(op, field))))
        return len(self.trained) - 1

    @property
    def tensors(self) -> dict[str, GraphTensor]:
        """The graph's, by name."""
        return self.graph.tensors

    def forward(self, *x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Values in (N, *input shape), values out (N, *output shape): multiples of a scale if fake-quantised.

        One tensor comes back from a graph with one output, a tuple from others.
        """
        if self.fake_quantized:
            codes = self._codes(x)
            found = tuple(codes[name] * self.quantization(name).scale for name in self.graph.outputs)
        else:
            values = self._float(x)
            found = tuple(values[name] for name in self.graph.outputs)
        return found[0] if len(found) == 1 else found

    def trace_codes(self, *x: Tensor) -> dict[str, Tensor]:
        """Every tensor's integer codes, by name, as float32: what the device should compute.

        Tensors in float islands hold their values, indices are as they were given.
        """
        return {
            name: codes + self.quantization(name).zero_point if name in self.scale_owner else codes
            for name, codes in self._codes(x).items()
        }

    def parameters_of(self, op: Operator) -> tuple[Tensor, ...]:
        """The trained float parameters of an operator, in the order of `op.parameters`."""
        return tuple(self.trained[i] for i in self.index[op.name])

    def quantization(self, tensor: str) -> Quantization:
        """A tensor's scale and zero point by its range now; a constant's range is that of its values."""
        owner = self.scale_owner[tensor]
        if owner in self.constants:
            value = self.trained[self.constants[owner]].detach()
            return from_range(float(value.min()), float(value.max()))
        i = self.ranged[owner]
        return from_range(float(self.lows[i]), float(self.highs[i]))

    @torch.no_grad()
    def calibrate(self, batches: Sequence[Tensor | tuple[Tensor, ...]]) -> None:
        """Set every range to the mean of the batches' lowest and highest values."""
        ranges = []
        for x in batches:
            values = self._float(x if isinstance(x, tuple) else (x,))
            owned = [values[name] for name in self.ranged]
            ranges.append(torch.stack([torch.stack([v.min(), v.max()]) for v in owned]))
        mean = torch.stack(ranges).mean(0)
        self.lows.copy_(mean[:, 0])
        self.highs.copy_(mean[:, 1])

    @torch.no_grad()
    def quantized_graph(self) -> Graph:
        """The int8 graph that the parameters and ranges now stand for; islands keep float parameters."""
        operators = tuple(
            self._float_parameters(op) if op.output in self.real else fake_quant.quantized(self, op)
            for op in self.graph.operators
        )
        tensors = {
            name: replace(tensor, quantization=self.quantization(name)) if name in self.scale_owner else tensor
            for name, tensor in self.graph.tensors.items()
        }
        return replace(self.graph, tensors=tensors, operators=operators)

    def _float_parameters(self, op: Operator) -> Operator:
        values: dict[str, Any] = {
            field: parameter.detach().cpu().numpy()
            for field, parameter in zip(op.parameters, self.parameters_of(op), strict=True)
        }
        return replace(op, **values)

    def _float(self, x: tuple[Tensor, ...]) -> dict[str, Tensor]:
        values = dict(zip(self.graph.inputs, x, strict=True))
        for op in self.graph.operators:
            values[op.output] = self._in_float(op, *(values[name] for name in op.inputs))
        return values

    def _in_float(self, op: Operator, *inputs: Tensor) -> Tensor:
        return FLOAT[type(op)](op, *inputs, *self.parameters_of(op), shape=self.graph.tensors[op.output].shape)

    def _codes(self, x: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Codes less their zero points; real values inside islands."""
        values = dict(zip(self.graph.inputs, x, strict=True))
        for name in self.graph.inputs:
            if name in self.scale_owner:
                values[name] = self._quantized(name, values[name])
        for op in self.graph.operators:
            inputs = [values[name] for name in op.inputs]
            if isinstance(op, Dequantize):
                values[op.output] = inputs[0] * self.quantization(op.inputs[0]).scale
            elif isinstance(op, Quantize):
                values[op.output] = self._quantized(op.output, inputs[0])
            elif op.output in self.real:
                values[op.output] = self._in_float(op, *inputs)
            else:
                values[op.output] = fake_quant.codes(self, op, *inputs)
        return values

    def _quantized(self, name: str, values: Tensor) -> Tensor:
        self.observe(name, lambda: values)
        return input_codes(values, self.quantization(name))

    @torch.no_grad()
    def observe(self, name: str, computed: Callable[[], Tensor]) -> None:
        """Let a range follow values, which are computed only where it does."""
        if not (self.observing and self.training):
            return
        values, i = computed(), self.ranged[self.scale_owner[name]]
        self.lows[i].lerp_(values.min(), MOMENTUM)
        self.highs[i].lerp_(values.max(), MOMENTUM)
