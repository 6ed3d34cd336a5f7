"""Compares bit for bit, layer by layer, a graph's file in a runtime with the integer reference in its mode.

Kernel sets round differently, so a file is exact only with respect to a named kernel set (`catalog.runtimes`).
"""

import tempfile
from pathlib import Path

import numpy as np

from edgekd.catalog.formats import format_module
from edgekd.catalog.runtimes import Runtime, open_file
from edgekd.graph import cost, reference
from edgekd.graph.structure import Array, Graph
from edgekd.results import LayerDifference
from edgekd.runtimes.codes import from_file_codes, to_file_codes


class Session:
    """A file that is loaded by a runtime and runs on the graph's int8 codes in torch's order.

    Attributes:
        kernels: the name of the kernel set.
    """

    def __init__(self, runtime: Runtime, path: Path) -> None:
        self._runner = open_file(runtime.opens, path)
        self.kernels: str = self._runner.kernels

    def run(self, *codes: Array) -> tuple[Array, ...]:
        """Run the file on codes (N, *shape) of every input; return the codes of every output."""
        inputs = (to_file_codes(c, info) for c, info in zip(codes, self._runner.inputs, strict=True))
        outputs = zip(self._runner.run_all(*inputs), self._runner.outputs, strict=True)
        return tuple(from_file_codes(values, info) for values, info in outputs)


def run_graph(runtime: Runtime, graph: Graph, codes: tuple[Array, ...]) -> tuple[Array, ...]:
    """Write a graph to a file, run it and return the codes of every output."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"graph.{runtime.format}"
        format_module(runtime.format).write(graph, path, kernels=runtime.kernels)
        return Session(runtime, path).run(*codes)


def layers(runtime: Runtime, graph: Graph, codes: tuple[Array, ...]) -> tuple[LayerDifference, ...]:
    """Compare each operator's codes in the runtime with the reference, using a file whose outputs are all tensors."""
    names = codes_of_operators(graph)
    expected = dict(reference.trace(graph, *codes, kernels=runtime.kernels))
    return differences(graph, expected, dict(zip(names, run_graph(runtime, graph.until(*names), codes), strict=True)))


def differences(graph: Graph, expected: dict[str, Array], actual: dict[str, Array]) -> tuple[LayerDifference, ...]:
    """Return a row for each operator whose output is in `actual`."""
    return tuple(
        LayerDifference(
            layer=op.name,
            operator=cost.describe(op),
            differing=int((steps > 0).sum()),
            outputs=int(steps.size),
            largest_steps=int(steps.max(initial=0)),
        )
        for op in graph.operators
        if op.output in actual
        for steps in [np.abs(actual[op.output].astype(np.int32) - expected[op.output].astype(np.int32))]
    )


def codes_of_operators(graph: Graph) -> list[str]:
    """Return the names of the operators' outputs that are codes, without constants and tensors in float islands."""
    return [op.output for op in graph.operators if op.inputs and graph.tensors[op.output].quantization is not None]
