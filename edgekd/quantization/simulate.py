"""The graph as a torch module: in float, and fake-quantised with the deployed arithmetic, so that it can be trained.

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
"""How often the operators are gone through at most."""


class Simulation(nn.Module):
    """A float graph's parameters as torch's, and its activation ranges as buffers.

    Args:
        graph: a float graph.
        kernels: whose arithmetic the fake-quantised form computes.

    Attributes:
        fake_quantized: compute with integer codes (else in float).
        observing: let ranges follow the activations.
        lows, highs: (ranges,), by the index that `ranged` gives for a tensor whose values set a range; those of the
            others lie within their inputs' ranges.
        group: by the tensor that stands for a scale, those in `ranged` that share it: together they set it.
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
        self.index: dict[str, list[int]] = {}  # operator -> its parameters in `trained`
        for op in graph.operators:
            shared = getattr(op, "shares", "")
            self.index[op.name] = self.index[shared] if shared else [self._add(op, field) for field in op.parameters]
        self.constants = {op.output: self.index[op.name][0] for op in graph.operators if op.stored}
        self.made_by = {op.output: op for op in graph.operators}
        ranging = (name for name in self.scale_owner if name not in self.made_by or not self.made_by[name].same_scale)
        self.ranged = {name: i for i, name in enumerate(ranging)}
        self.group: dict[str, list[str]] = {}
        for name in self.ranged:
            self.group.setdefault(self.scale_owner[name], []).append(name)
        self.own_values = [(op.output, value) for op in graph.operators for value in op.own_values]
        self.least_spans: dict[str, float] = {}
        for op in graph.operators:
            for owner in {self.scale_owner[name] for name in op.inputs if name in self.scale_owner}:
                self.least_spans[owner] = max(self.least_spans.get(owner, 0.0), op.least_input_span)
        self.known: dict[str, Quantization] | None = None  # scales of this pass, while there is one
        self.readers = {name: len(graph.consumers(name)) for name in graph.tensors}
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
        values = self._codes(x) if self.fake_quantized else self.float_values(*x)
        given = {name: value for name, value in values if name in self.graph.outputs}
        if self.fake_quantized:
            given = {name: codes * self.quantization(name).scale for name, codes in given.items()}
        found = tuple(given[name] for name in self.graph.outputs)
        return found[0] if len(found) == 1 else found

    def trace_codes(self, *x: Tensor) -> dict[str, Tensor]:
        """Every tensor's integer codes, by name, as float32: what the device should compute.

        Tensors in float islands hold their values, indices are as they were given.
        """
        return {
            name: codes + self.quantization(name).zero_point if name in self.scale_owner else codes
            for name, codes in self._codes(x)
        }

    def float_values(self, *x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Every tensor's name and real values, in order of execution; what no operator reads any more is let go."""
        return self.walk(dict(zip(self.graph.inputs, x, strict=True)), self.in_float)

    def parameters_of(self, op: Operator) -> tuple[Tensor, ...]:
        """The trained float parameters of an operator, in the order of `op.parameters`."""
        return tuple(self.trained[i] for i in self.index[op.name])

    def quantization(self, tensor: str) -> Quantization:
        """A tensor's scale and zero point by its range now; a constant's range is that of its values."""
        owner = self.scale_owner[tensor]
        if known := self.graph.tensors[owner].fixed or (self.known and self.known.get(owner)):
            return known
        ends = [value for name, value in self.own_values if self.scale_owner.get(name) == owner]
        measured = [self.ranged[name] for name in self.group[owner] if name not in self.constants]
        if measured:
            ends += [float(self.lows[measured].min()), float(self.highs[measured].max())]
        for name in self.group[owner]:
            if name in self.constants:
                value = self.trained[self.constants[name]].detach()
                ends += [float(value.min()), float(value.max())]
        found = from_range(min(ends), max(ends), self.graph.tensors[owner].bits, symmetric=owner in self.symmetric)
        if self.known is not None:
            self.known[owner] = found
        return found

    @torch.no_grad()
    def calibrate(
        self,
        batches: Iterable[Tensor | tuple[Tensor, ...]],
        method: calibration.Method = "minmax",
        percentile: float = 99.999,
    ) -> None:
        """Set every range by the real values that the batches, which are gone through twice, give in float."""

        def seen() -> Iterator[tuple[str, Tensor]]:
            for x in batches:
                for name, values in self.float_values(*(x if isinstance(x, tuple) else (x,))):
                    if name in self.ranged:
                        yield self.scale_owner[name], values

        whole = {self.scale_owner[name] for name in self.graph.outputs if name in self.scale_owner}
        whole |= {owner for owner in self.group if self.graph.tensors[owner].bits == 16}  # with room for every outlier
        for name, (low, high) in calibration.ranges(seen, method, percentile, whole).items():
            members = [self.ranged[member] for member in self.group[name]]
            self.lows[members], self.highs[members] = low, high
        self._coarsen()

    @torch.no_grad()
    def quantized_graph(self) -> Graph:
        """The int8 graph that the parameters and ranges now stand for; islands keep float parameters."""
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
        """Widen ranges so narrow that no kernel could rescale to them: of layers that never stir, say.

        A tensor that shares its scale with a later one is widened with it, so what reads it is looked at again.
        """
        for _ in range(WIDENINGS):
            before = self.highs.clone()
            for name in self.ranged:
                self._widen(name)
            if torch.equal(before, self.highs):
                return

    def _widen(self, name: str) -> None:
        owner, i = self.scale_owner[name], self.ranged[name]
        if self.graph.tensors[owner].fixed:
            return
        least = self.least_spans.get(owner, 0.0)
        if name in self.made_by:
            least = max(least, least_span(self, self.made_by[name]))
        self.highs[i] = max(float(self.highs[i]), min(float(self.lows[i]), 0.0) + least)

    def _float_parameters(self, op: Operator) -> Operator:
        values: dict[str, Any] = {
            field: parameter.detach().cpu().numpy()
            for field, parameter in zip(op.parameters, self.parameters_of(op), strict=True)
        }
        return replace(op, **values)

    def walk(self, values: dict[str, Tensor], execute: Callable[..., Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Every tensor's name and what `execute` (operator, *inputs) makes of it, with no more held than is needed."""
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
        """An operator's real output of real inputs."""
        return in_float(op, *inputs, *self.parameters_of(op), shape=self.graph.tensors[op.output].shape)

    def in_codes(self, op: Operator, *inputs: Tensor) -> Tensor:
        """An operator's output of inputs that are codes less their zero points, or real values inside islands."""
        if op.output in self.real and not isinstance(op, Dequantize):
            return self.in_float(op, *inputs)
        return simulated.codes(self, op, *inputs)

    def _codes(self, x: tuple[Tensor, ...]) -> Iterator[tuple[str, Tensor]]:
        """Every tensor's name and codes less their zero points; real values inside islands."""
        values = dict(zip(self.graph.inputs, x, strict=True))
        self.known = {}
        try:
            for name in values:
                if name in self.scale_owner:
                    values[name] = self.coded(name, values[name])
            yield from self.walk(values, self.in_codes)
        finally:
            self.known = None

    def coded(self, name: str, values: Tensor) -> Tensor:
        """Real values to a tensor's codes less their zero point."""
        self.observe(name, lambda: values)
        return input_codes(values, self.quantization(name))

    @torch.no_grad()
    def observe(self, name: str, computed: Callable[[], Tensor]) -> None:
        """Let a range follow values, which are computed only where it does."""
        if not (self.observing and self.training) or name not in self.ranged:
            return
        if self.graph.tensors[self.scale_owner[name]].fixed:
            return
        values, i = computed(), self.ranged[name]
        self.lows[i].lerp_(values.min(), MOMENTUM)
        self.highs[i].lerp_(values.max(), MOMENTUM)
        self._widen(name)
        if self.known:
            self.known.pop(self.scale_owner[name], None)
