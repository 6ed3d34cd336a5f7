"""Operators by themselves, each on scales of its own: for a kernel's arithmetic over all codes."""

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
"""Every code beside every other, as two inputs of one sample."""

Made = tuple[Operator, Sequence[Quantization], Quantization]
"""An operator, whatever its names; the quantization of each input, and the output's."""


def quantization(chance: np.random.Generator, low: float, high: float, near: float = 1.0) -> Quantization:
    """A scale between 10^low and 10^high times `near`, at times a power of two: those bring ties. All zero points."""
    scale = near * 10 ** chance.uniform(low, high)
    if chance.random() < 0.2:
        scale = 2 ** np.round(np.log2(scale))
    zero_point = chance.choice([-128, 127, 0, chance.integers(-128, 128), chance.integers(-128, 128)])
    return Quantization(float(np.float32(scale)), int(zero_point))


def beside_each_other(made: Sequence[Made], length: int) -> Graph:
    """One graph of all the operators, on vectors of a length."""
    tensors: dict[str, GraphTensor] = {}
    operators: list[Operator] = []
    for i, (op, sources, result) in enumerate(made):
        names = tuple(f"x{i}.{j}" for j in range(len(sources)))
        tensors |= {n: GraphTensor(n, (length,), q) for n, q in zip(names, sources, strict=True)}
        tensors[f"y{i}"] = GraphTensor(f"y{i}", (length,), result)
        operators.append(replace(op, name=f"y{i}", inputs=names, output=f"y{i}"))
    inputs = tuple(name for op in operators for name in op.inputs)
    return Graph(inputs, tuple(op.output for op in operators), tensors, tuple(operators))


def differing(runtime: Runtime, graph: Graph, codes: Sequence[Array]) -> list[str]:
    """What a runtime computes otherwise than the reference in its mode."""
    expected = reference.run_all(graph, *codes, kernels=runtime.kernels)
    assert any(output.std() > 0 for output in expected)
    found = parity.executed(runtime, graph, tuple(codes))
    return _differences(graph, found, expected)


def differing_simulation(kernels: Kernels, graph: Graph, codes: Sequence[Array]) -> list[str]:
    """What the fake-quantised forms compute otherwise than the reference."""
    scales = _Scales(graph, kernels)
    values = dict(zip(graph.inputs, codes, strict=True))
    found = []
    for op in graph.operators:
        less = (torch.from_numpy(values[n].astype(np.float32)) - scales.quantization(n).zero_point for n in op.inputs)
        found.append(simulated.codes(scales, op, *less).numpy() + scales.quantization(op.output).zero_point)
    return _differences(graph, found, reference.run_all(graph, *codes, kernels=kernels))


def _differences(graph: Graph, found: Sequence[Array], expected: Sequence[Array]) -> list[str]:
    wrong = []
    for op, one, other in zip(graph.operators, found, expected, strict=True):
        steps = np.abs(one.astype(int) - other.astype(int))
        if steps.any():
            ends = [graph.quantization(name) for name in (*op.inputs, op.output)]
            wrong.append(f"{(steps > 0).sum()} of {steps.size} off by up to {steps.max()}: {op}, {ends}")
    return wrong


class _Scales:
    """As much of a simulation as the forms of operators without parameters ask for."""

    def __init__(self, graph: Graph, kernels: Kernels) -> None:
        self.tensors, self.kernels, self.quantization = graph.tensors, kernels, graph.quantization

    def parameters_of(self, op: Operator) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(getattr(op, name)) for name in op.parameters)

    def observe(self, name: str, computed: Callable[[], Any]) -> None:
        """Ranges stand still."""
