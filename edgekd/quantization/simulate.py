"""The graph as a torch module that can be trained, in float or fake-quantised with the deployed arithmetic.

The simulation computes on integer-valued codes in float32, so it rounds where the device rounds: it is exact while
accumulators stay below 2^24. Weight scales follow the weights; activation ranges follow the activations while
`observing`, then stand still.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.graph import simulated
from edgekd.graph.operators.arithmetic_training import input_codes
from edgekd.graph.operators.training import in_float
from edgekd.graph.ops import Dequantize
from edgekd.graph.structure import Graph, Kernels, Operator, Quantization
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.quantization import calibration
from edgekd.quantization.islands import real_tensors
from edgekd.quantization.least_range import least_span
from edgekd.quantization.scales import from_range, scale_owners, symmetric, with_requantize

MOMENTUM = 0.05
"""Share of a new batch's range in the running range, while observing."""

WIDENINGS = 4
"""The most passes over all operators in which ranges are widened."""


class Simulation(nn.Module):
    """A float graph whose parameters torch trains and whose activation ranges are buffers.

    Args:
        graph: a float graph.
        kernels: whose arithmetic the fake-quantised form computes.

    Attributes:
        fake_quantized: whether to compute on integer codes, or in float.
        observing: whether ranges follow the activations.
        range_index: the index of each tensor that has a range of its own; the others lie within their inputs' ranges.
        lows, highs: the ends of the ranges, (ranges,).
        group: by the owner of a scale, the tensors in `range_index` that share it and together set it.
    """

    def __init__(self, graph: Graph, kernels: Kernels = "xnnpack") -> None:
        super().__init__()
        graph = with_requantize(graph)
        self.graph, self.kernels = graph, kernels
        self.fake_quantized, self.observing = False, False
        self.scale_owner = scale_owners(graph)
        self.symmetric = symmetric(graph, self.scale_owner)
        self.real = real_tensors(graph)
        self.trained = nn.ParameterList()
        self.parameter_index: dict[str, list[int]] = {}  # operator -> the indices of its parameters in `trained`
        for op in graph.operators:
            shares = getattr(op, "shares", "")
            indices = self.parameter_index[shares] if shares else [self._add(op, field) for field in op.parameters]
            self.parameter_index[op.name] = indices
        self.constants = {op.output: self.parameter_index[op.name][0] for op in graph.operators if op.stored}
        self.producers = {op.output: op for op in graph.operators}
        names = (name for name in self.scale_owner if name not in self.producers or not self.producers[name].same_scale)
        self.range_index = {name: i for i, name in enumerate(names)}
        self.group: dict[str, list[str]] = {}
        for name in self.range_index:
            self.group.setdefault(self.scale_owner[name], []).append(name)
        self.own_values = [(op.output, value) for op in graph.operators for value in op.own_values]
        self.least_spans: dict[str, float] = {}
        for op in graph.operators:
            for owner in {self.scale_owner[name] for name in op.inputs if name in self.scale_owner}:
                self.least_spans[owner] = max(self.least_spans.get(owner, 0.0), op.least_input_span)
        self.scale_cache: dict[str, Quantization] | None = None  # the scales of the current forward pass
        self.readers = {name: len(graph.consumers(name)) for name in graph.tensors}
        self.lows: Tensor
        self.highs: Tensor
        self.register_buffer("lows", torch.zeros(len(self.range_index)))
        self.register_buffer("highs", torch.zeros(len(self.range_index)))

    def _add(self, op: Operator, field: str) -> int:
        self.trained.append(nn.Parameter(torch.tensor(getattr(op, field))))
        return len(self.trained) - 1

    @property
    def tensors(self) -> dict[str, GraphTensor]:
        """The tensors of the graph, by their names."""
        return self.graph.tensors

    def forward(self, *x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute real outputs (N, *shape) of real inputs (N, *shape); fake-quantised ones are multiples of a scale.

        A graph with one output returns a tensor, others return a tuple.
        """
        values = self._codes(x) if self.fake_quantized else self.float_values(*x)
        outputs = {name: value for name, value in values if name in self.graph.outputs}
        if self.fake_quantized:
            outputs = {name: codes * self.quantization(name).scale for name, codes in outputs.items()}
        results = tuple(outputs[name] for name in self.graph.outputs)
        return results[0] if len(results) == 1 else results

    def trace_codes(self, *x: Tensor) -> dict[str, Tensor]:
        """The integer codes of every tensor as float32, by its name, which are those that the device computes.

        Tensors inside float islands hold real values, and indices are returned as they are.
        """
        return {
            name: codes + self.quantization(name).zero_point if name in self.scale_owner else codes
            for name, codes in self._codes(x)
        }

    def float_values(self, *x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and real values of every tensor in order of execution; free what nothing reads again."""
        return self.walk(dict(zip(self.graph.inputs, x, strict=True)), self.in_float)

    def parameters_of(self, op: Operator) -> tuple[Tensor, ...]:
        """The trained float parameters of an operator, in the order of `op.parameters`."""
        return tuple(self.trained[i] for i in self.parameter_index[op.name])

    def quantization(self, tensor: str) -> Quantization:
        """The scale and zero point of a tensor by its current range; the range of a constant is that of its values."""
        owner = self.scale_owner[tensor]
        if scale := self.graph.tensors[owner].fixed or (self.scale_cache and self.scale_cache.get(owner)):
            return scale
        ends = [value for name, value in self.own_values if self.scale_owner.get(name) == owner]
        indices = [self.range_index[name] for name in self.group[owner] if name not in self.constants]
        if indices:
            ends += [float(self.lows[indices].min()), float(self.highs[indices].max())]
        for name in self.group[owner]:
            if name in self.constants:
                value = self.trained[self.constants[name]].detach()
                ends += [float(value.min()), float(value.max())]
        bits, is_symmetric = self.graph.tensors[owner].bits, owner in self.symmetric
        quantization = from_range(min(ends), max(ends), bits, symmetric=is_symmetric)
        if self.scale_cache is not None:
            self.scale_cache[owner] = quantization
        return quantization

    @torch.no_grad()
    def calibrate(
        self,
        batches: Iterable[Tensor | tuple[Tensor, ...]],
        method: calibration.Method = "minmax",
        percentile: float = 99.999,
    ) -> None:
        """Set every range by the activations of the batches in float; the batches are iterated twice."""

        def observations() -> Iterator[tuple[str, Tensor]]:
            for x in batches:
                for name, values in self.float_values(*(x if isinstance(x, tuple) else (x,))):
                    if name in self.range_index:
                        yield self.scale_owner[name], values

        unclipped = {self.scale_owner[name] for name in self.graph.outputs if name in self.scale_owner}
        unclipped |= {
            owner for owner in self.group if self.graph.tensors[owner].bits == 16
        }  # with room for every outlier
        for name, (low, high) in calibration.ranges(observations, method, percentile, unclipped).items():
            members = [self.range_index[member] for member in self.group[name]]
            self.lows[members], self.highs[members] = low, high
        self._coarsen()

    @torch.no_grad()
    def quantized_graph(self) -> Graph:
        """The int8 graph of the current parameters and ranges; float islands keep float parameters."""
        self._coarsen()
        operators = tuple(
            self._float_parameters(op) if op.output in self.real else simulated.shipped(self, op)
            for op in self.graph.operators
        )
        tensors = {
            name: replace(tensor, quantization=self.quantization(name)) if name in self.scale_owner else tensor
            for name, tensor in self.graph.tensors.items()
        }
        return replace(self.graph, tensors=tensors, operators=operators)

    def _coarsen(self) -> None:
        """Widen ranges that are too narrow for any kernel to rescale to, such as those of constant activations.

        A tensor that shares its scale with a later one is widened with it, so its readers are visited again.
        """
        for _ in range(WIDENINGS):
            before = self.highs.clone()
            for name in self.range_index:
                self._widen(name)
            if torch.equal(before, self.highs):
                return

    def _widen(self, name: str) -> None:
        owner, i = self.scale_owner[name], self.range_index[name]
        if self.graph.tensors[owner].fixed:
            return
        least = self.least_spans.get(owner, 0.0)
        if name in self.producers:
            least = max(least, least_span(self, self.producers[name]))
        self.highs[i] = max(float(self.highs[i]), min(float(self.lows[i]), 0.0) + least)

    def _float_parameters(self, op: Operator) -> Operator:
        values: dict[str, Any] = {
            field: parameter.detach().cpu().numpy()
            for field, parameter in zip(op.parameters, self.parameters_of(op), strict=True)
        }
        return replace(op, **values)

    def walk(self, values: dict[str, Tensor], execute: Callable[..., Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield every tensor's name and its values by `execute(operator, *inputs)`; free what nothing reads again."""
        yield from tuple(values.items())
        readers = dict(self.readers)
        for op in self.graph.operators:
            values[op.output] = execute(op, *(values[name] for name in op.inputs))
            yield op.output, values[op.output]
            for name in set(op.inputs):
                readers[name] -= 1
                if not readers[name]:
                    del values[name]

    def in_float(self, op: Operator, *inputs: Tensor) -> Tensor:
        """Compute an operator's real output from real inputs."""
        return in_float(op, *inputs, *self.parameters_of(op), shape=self.graph.tensors[op.output].shape)

    def in_codes(self, op: Operator, *inputs: Tensor) -> Tensor:
        """Compute an operator's output from codes minus their zero points, or from real values inside islands."""
        if op.output in self.real and not isinstance(op, Dequantize):
            return self.in_float(op, *inputs)
        return simulated.codes(self, op, *inputs)

    def _codes(self, x: tuple[Tensor, ...]) -> Iterator[tuple[str, Tensor]]:
        """Yield every tensor's name and its codes minus their zero points, or real values inside islands."""
        values = dict(zip(self.graph.inputs, x, strict=True))
        self.scale_cache = {}
        try:
            for name in values:
                if name in self.scale_owner:
                    values[name] = self.to_codes(name, values[name])
            yield from self.walk(values, self.in_codes)
        finally:
            self.scale_cache = None

    def to_codes(self, name: str, values: Tensor) -> Tensor:
        """Convert real values to codes of a tensor minus their zero point."""
        self.observe(name, lambda: values)
        return input_codes(values, self.quantization(name))

    @torch.no_grad()
    def observe(self, name: str, compute: Callable[[], Tensor]) -> None:
        """Move a tensor's range towards the range of its values, which are computed only while ranges are observed."""
        if not (self.observing and self.training) or name not in self.range_index:
            return
        if self.graph.tensors[self.scale_owner[name]].fixed:
            return
        values, i = compute(), self.range_index[name]
        self.lows[i].lerp_(values.min(), MOMENTUM)
        self.highs[i].lerp_(values.max(), MOMENTUM)
        self._widen(name)
        if self.scale_cache:
            self.scale_cache.pop(self.scale_owner[name], None)
