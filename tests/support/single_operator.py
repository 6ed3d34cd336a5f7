"""Graphs of single operators with their own scales, for tests of a kernel's arithmetic over all codes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekd.catalog.runtimes import Runtime
from edgekd.graph import reference, simulated
from edgekd.graph.structure import Array, Graph, Kernels, Operator, Quantization
from edgekd.graph.structure import Tensor as GraphTensor
from edgekd.runtimes import parity

CODES = np.arange(-128, 128).astype(np.int8)
PAIRS = np.stack(np.meshgrid(CODES, CODES)).reshape(2, 1, -1)
"""All pairs of codes, as two inputs of one sample."""

OperatorWithScales = tuple[Operator, Sequence[Quantization], Quantization]
"""An operator, whose names are replaced; the quantization of each input, and that of the output."""


def quantization(chance: np.random.Generator, low: float, high: float, near: float = 1.0) -> Quantization:
    """Return a random zero point, and a scale from 10^low to 10^high times `near`; powers of two cause ties."""
    scale = near * 10 ** chance.uniform(low, high)
    if chance.random() < 0.2:
        scale = 2 ** np.round(np.log2(scale))
    zero_point = chance.choice([-128, 127, 0, chance.integers(-128, 128), chance.integers(-128, 128)])
    return Quantization(float(np.float32(scale)), int(zero_point))


def combined_graph(operators_with_scales: Sequence[OperatorWithScales], length: int) -> Graph:
    """Return one graph of all the operators, on vectors of a length."""
    tensors: dict[str, GraphTensor] = {}
    operators: list[Operator] = []
    for i, (op, sources, result) in enumerate(operators_with_scales):
        names = tuple(f"x{i}.{j}" for j in range(len(sources)))
        tensors |= {n: GraphTensor(n, (length,), q) for n, q in zip(names, sources, strict=True)}
        tensors[f"y{i}"] = GraphTensor(f"y{i}", (length,), result)
        operators.append(replace(op, name=f"y{i}", inputs=names, output=f"y{i}"))
    inputs = tuple(name for op in operators for name in op.inputs)
    return Graph(inputs, tuple(op.output for op in operators), tensors, tuple(operators))


def differing(runtime: Runtime, graph: Graph, codes: Sequence[Array]) -> list[str]:
    """Describe the differences of a runtime from the reference in its mode."""
    expected = reference.run_all(graph, *codes, kernels=runtime.kernels)
    assert any(output.std() > 0 for output in expected)
    outputs = parity.run_graph(runtime, graph, tuple(codes))
    return _differences(graph, outputs, expected)


def differing_simulation(kernels: Kernels, graph: Graph, codes: Sequence[Array]) -> list[str]:
    """Describe the differences of the fake-quantised forms from the reference."""
    scales = _Scales(graph, kernels)
    values = dict(zip(graph.inputs, codes, strict=True))
    outputs = []
    for op in graph.operators:
        less = (torch.from_numpy(values[n].astype(np.float32)) - scales.quantization(n).zero_point for n in op.inputs)
        outputs.append(simulated.codes(scales, op, *less).numpy() + scales.quantization(op.output).zero_point)
    return _differences(graph, outputs, reference.run_all(graph, *codes, kernels=kernels))


def _differences(graph: Graph, outputs: Sequence[Array], expected: Sequence[Array]) -> list[str]:
    messages = []
    for op, one, other in zip(graph.operators, outputs, expected, strict=True):
        steps = np.abs(one.astype(int) - other.astype(int))
        if steps.any():
            ends = [graph.quantization(name) for name in (*op.inputs, op.output)]
            messages.append(f"{(steps > 0).sum()} of {steps.size} off by up to {steps.max()}: {op}, {ends}")
    return messages


class _Scales:
    """The part of a simulation that operators without parameters use."""

    def __init__(self, graph: Graph, kernels: Kernels) -> None:
        self.tensors, self.kernels, self.quantization = graph.tensors, kernels, graph.quantization

    def parameters_of(self, op: Operator) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(getattr(op, name)) for name in op.parameters)

    def observe(self, name: str, computed: Callable[[], Any]) -> None:
        """Observe nothing: the ranges are fixed."""
