"""Assertions of bit-exactness: every tensor in every runtime is compared with the reference in its mode."""

from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np
import torch
from torch import nn

from edgekd.catalog import runtimes
from edgekd.catalog.runtimes import Runtime
from edgekd.graph import reference
from edgekd.graph.capture import Example, capture
from edgekd.graph.operators.arithmetic import dequantize
from edgekd.graph.structure import Graph
from edgekd.runtimes import parity
from edgekd.runtimes.parity import run_graph
from support.networks import quantized

RUNTIMES = {
    name: runtime for name, runtime in runtimes.RUNTIMES.items() if find_spec(runtime.package.partition(".")[0])
}


def assert_exact(
    model: nn.Module,
    *shapes: Example,
    samples: int = 32,
    runtimes: Mapping[str, Runtime] = RUNTIMES,
    varies: bool = True,
) -> Graph:
    """Quantise a model by random inputs, and assert that each operator's output is the same in every runtime, in the
    simulation and in the reference. Return the graph."""
    captured = capture(model, *shapes)
    for name, runtime in runtimes.items():
        trained_to = "tflm" if runtime.kernels == "litert-reference" else runtime.kernels
        simulation, graph, codes = quantized(captured, *shapes, samples=samples, kernels=trained_to)
        values = dict(reference.trace(graph, *codes, kernels=runtime.kernels))
        for output in graph.outputs:
            assert not varies or values[output].std() > 0, "a constant network passes any parity test"
        assert_same(run_graph(runtime, graph, codes), [values[output] for output in graph.outputs], name)
        for row in parity.layers(runtime, graph, codes):
            assert not row.differing, f"{name}: {row}"
        layers = parity.codes_of_operators(graph)
        inputs = [
            torch.from_numpy(dequantize(c, graph.quantization(i)) if graph.tensors[i].quantization else c)
            for c, i in zip(codes, graph.inputs, strict=True)
        ]
        with torch.no_grad():
            simulated = simulation.trace_codes(*inputs)
        values = dict(reference.trace(graph, *codes, kernels=simulation.kernels))
        assert_same(
            [simulated[layer].numpy() for layer in layers], [values[layer] for layer in layers], "simulation", layers
        )
    return graph


def assert_same(outputs, expected, runtime: str, layers=None) -> None:  # type: ignore[no-untyped-def]
    """Assert that no code differs; the message names the first layer that does, with number and size of differences."""
    for i, (one, other) in enumerate(zip(outputs, expected, strict=True)):
        steps = np.abs(one.astype(int) - other.astype(int))
        layer = layers[i] if layers else f"output {i}"
        assert not steps.any(), f"{runtime}, {layer}: {(steps > 0).sum()} of {steps.size} off by up to {steps.max()}"
