"""The comparison of a quantised graph in a runtime with the integer reference, code by code."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd.catalog.formats import format_module
from edgekd.catalog.runtimes import Runtime
from edgekd.graph import reference
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.structure import Array, Graph
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import Session, codes_of_operators

BATCH = 32


@dataclass
class Tally:
    """The number of compared codes, of those that differ, and the largest difference in steps."""

    codes: int = 0
    differing: int = 0
    steps: int = 0

    @property
    def identical(self) -> float | None:
        """The share of identical codes; None if nothing was compared."""
        return round(1 - self.differing / self.codes, 8) if self.codes else None

    def add(self, codes: Array, expected: Array) -> None:
        steps = np.abs(codes.astype(np.int32) - expected.astype(np.int32))
        self.codes += steps.size
        self.differing += int((steps > 0).sum())
        self.steps = max(self.steps, int(steps.max(initial=0)))


@dataclass
class Comparison:
    """The comparison of one network in one runtime."""

    layers: dict[str, Tally] = field(default_factory=dict)
    outputs: Tally = field(default_factory=Tally)
    simulation: Tally = field(default_factory=Tally)
    distinct: set[bytes] = field(default_factory=set)

    def layer(self, name: str) -> Tally:
        return self.layers.setdefault(name, Tally())


def compare(runtime: Runtime, simulation: Simulation, graph: Graph, inputs: Tensor, folder: Path) -> Comparison:
    """Compare every layer of a file with all layers as outputs, the outputs of the plain file, and the simulation."""
    layers = codes_of_operators(graph)
    write = partial(format_module(runtime.format).write, kernels=runtime.kernels)
    output_session = Session(runtime, write(graph, folder / f"plain.{runtime.format}"))
    layers_session = Session(runtime, write(graph.until(*layers), folder / f"layered.{runtime.format}"))
    comparison = Comparison()
    for part in inputs.split(BATCH):
        codes = (_codes(part, graph),)
        expected = dict(reference.trace(graph, *codes, kernels=runtime.kernels))
        for name, values in zip(layers, layers_session.run(*codes), strict=True):
            comparison.layer(name).add(values, expected[name])
        for name, values in zip(graph.outputs, output_session.run(*codes), strict=True):
            comparison.outputs.add(values, expected[name])
            comparison.distinct.update(sample.tobytes() for sample in values)
        if simulation.kernels == runtime.kernels:
            with torch.no_grad():
                simulated = simulation.trace_codes(part)
            for name in graph.outputs:
                comparison.simulation.add(simulated[name].numpy(), expected[name])
    return comparison


def _codes(x: Tensor, graph: Graph) -> Array:
    if graph.tensors[graph.input].quantization is None:
        return x.numpy()
    return quantize(x.numpy(), graph.quantization(graph.input))
