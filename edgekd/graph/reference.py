"""The integer reference: executes a quantised graph in NumPy, bit for bit as a named runtime's kernels do.

Accumulators are exact integers. Rescaling is in float32 and rounds half to even, as XNNPACK and onnxruntime do, or in
gemmlowp's fixed point with its two roundings, as TFLite Micro does; `Kernels` names the one to follow. Each family of
operators has a file in `operators/` that ends in a table of its kernels. Float islands are executed in float32.
"""

from collections.abc import Iterator

import numpy as np

from edgekd.graph.operators import (
    attention,
    boundaries,
    elementwise,
    embedding,
    movement,
    normalisation,
    pooling,
    resize,
    unary,
    weighted,
)
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.operators.forms import ReferenceForm
from edgekd.graph.structure import Array, Graph, Mode, Operator

FAMILIES = (
    weighted, elementwise, unary, pooling, movement, boundaries, attention, normalisation, embedding, resize,
)  # fmt: skip

REFERENCE: dict[type[Operator], ReferenceForm] = {
    kind: form for family in FAMILIES for kind, form in family.REFERENCE.items()
}

LITERT_REFERENCE = REFERENCE | weighted.LITERT_REFERENCE | elementwise.LITERT_REFERENCE | unary.LITERT_REFERENCE


def input_codes(graph: Graph, name: str, values: Array) -> Array:
    """Quantise the real values of an input; indices are returned as they are."""
    return values if graph.tensors[name].kind == "index" else quantize(values, graph.quantization(name))


def run(graph: Graph, *codes: Array, kernels: Mode = "xnnpack", batch_size: int = 64) -> Array:
    """Execute the graph on codes of every input, (N, *shape); return the codes of the first output, (N, *shape)."""
    return run_all(graph, *codes, kernels=kernels, batch_size=batch_size)[0]


def run_all(graph: Graph, *codes: Array, kernels: Mode = "xnnpack", batch_size: int = 64) -> tuple[Array, ...]:
    """Execute the graph on codes of every input, (N, *shape); return the codes of every output, (N, *shape)."""
    parts = []
    for i in range(0, len(codes[0]), batch_size):
        values = {}
        for name, value in trace(graph, *(c[i : i + batch_size] for c in codes), kernels=kernels):
            if name in graph.outputs:
                values[name] = value
        parts.append([values[name] for name in graph.outputs])
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def trace(graph: Graph, *codes: Array, kernels: Mode = "xnnpack") -> Iterator[tuple[str, Array]]:
    """Yield the name and codes of every tensor in order of execution; real values inside float islands, and indices."""
    values = dict(zip(graph.inputs, codes, strict=True))
    yield from values.items()
    readers = {name: len(graph.consumers(name)) for name in graph.tensors}
    for op in graph.operators:
        inputs = [values[name] for name in op.inputs]
        values[op.output] = _execute(op, graph, inputs, kernels)
        yield op.output, values[op.output]
        for name in set(op.inputs):
            readers[name] -= 1
            if not readers[name]:
                values.pop(name, None)


def _execute(op: Operator, graph: Graph, inputs: list[Array], mode: Mode) -> Array:
    if real(op, graph):
        return _in_float(op, graph, inputs)
    if mode == "litert-reference":
        return LITERT_REFERENCE[type(op)](op, graph, inputs, "tflm")
    return REFERENCE[type(op)](op, graph, inputs, mode)


def _in_float(op: Operator, graph: Graph, inputs: list[Array]) -> Array:
    """Execute an operator of a float island; only for these is torch imported."""
    import torch

    from edgekd.graph.operators.training import in_float

    values = [torch.from_numpy(array) for array in (*inputs, *(getattr(op, name) for name in op.parameters))]
    output: Array = in_float(op, *values, shape=graph.tensors[op.output].shape).numpy()
    return output


def real(op: Operator, graph: Graph) -> bool:
    """Is the operator inside a float island, so that it computes on real values in a quantised graph?"""
    ends = [graph.tensors[name] for name in (*op.inputs, op.output)]
    return all(tensor.quantization is None for tensor in ends) and any(tensor.kind == "real" for tensor in ends)
