"""A quantised graph in a runtime against the integer reference in that runtime's mode, code by code."""

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
    """Codes that were compared, those that differ, and by how much at most."""

    codes: int = 0
    differing: int = 0
    steps: int = 0

    @property
    def identical(self) -> float | None:
        """The share of codes that are the same; None where nothing was compared."""
        return round(1 - self.differing / self.codes, 8) if self.codes else None

    def add(self, found: Array, expected: Array) -> None:
        apart = np.abs(found.astype(np.int32) - expected.astype(np.int32))
        self.codes += apart.size
        self.differing += int((apart > 0).sum())
        self.steps = max(self.steps, int(apart.max(initial=0)))


@dataclass
class Comparison:
    """One network in one runtime."""

    layers: dict[str, Tally] = field(default_factory=dict)
    outputs: Tally = field(default_factory=Tally)
    simulation: Tally = field(default_factory=Tally)
    distinct: set[bytes] = field(default_factory=set)

    def layer(self, name: str) -> Tally:
        return self.layers.setdefault(name, Tally())


def compare(runtime: Runtime, simulation: Simulation, graph: Graph, inputs: Tensor, folder: Path) -> Comparison:
    """Every layer of a file that gives out all, the outputs of the plain file, and the simulation in its own mode."""
    shown = codes_of_operators(graph)
    write = partial(format_module(runtime.format).write, kernels=runtime.kernels)
    plain = Session(runtime, write(graph, folder / f"plain.{runtime.format}"))
    layered = Session(runtime, write(graph.until(*shown), folder / f"layered.{runtime.format}"))
    found = Comparison()
    for part in inputs.split(BATCH):
        codes = (_codes(part, graph),)
        expected = dict(reference.trace(graph, *codes, kernels=runtime.kernels))
        for name, values in zip(shown, layered.run(*codes), strict=True):
            found.layer(name).add(values, expected[name])
        for name, values in zip(graph.outputs, plain.run(*codes), strict=True):
            found.outputs.add(values, expected[name])
            found.distinct.update(sample.tobytes() for sample in values)
        if simulation.kernels == runtime.kernels:
            with torch.no_grad():
                simulated = simulation.trace_codes(part)
            for name in graph.outputs:
                found.simulation.add(simulated[name].numpy(), expected[name])
    return found


def _codes(x: Tensor, graph: Graph) -> Array:
    if graph.tensors[graph.input].quantization is None:
        return x.numpy()
    return quantize(x.numpy(), graph.quantization(graph.input))
