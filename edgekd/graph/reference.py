"""The integer reference: executes a quantised graph in NumPy, bit for bit as a named runtime's kernels do.

Accumulators are exact integers. Rescaling is in float32 and rounds half to even, as XNNPACK and onnxruntime do, or in
gemmlowp's fixed point with its two roundings, as TFLite Micro does; `Kernels` names the one to follow. Each family of
operators has a file here, with a table of its kernels. Inside a float island the graph's float form is executed.
"""

from collections.abc import Iterator

import numpy as np
import torch

from edgekd.graph.floating import FLOAT
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
from edgekd.graph.operators.arithmetic import Form, quantize
from edgekd.graph.structure import Array, Graph, Mode, Operator

FAMILIES = (
    weighted, elementwise, unary, pooling, movement, boundaries, attention, normalisation, embedding, resize,
)  # fmt: skip

FORMS: dict[type[Operator], Form] = {kind: form for family in FAMILIES for kind, form in family.FORMS.items()}

LITERT_REFERENCE = FORMS | weighted.LITERT_REFERENCE | elementwise.LITERT_REFERENCE | unary.LITERT_REFERENCE


def input_codes(graph: Graph, name: str, values: Array) -> Array:
    """An input's real values as int8 codes; indices as they are."""
    return values if graph.tensors[name].kind == "index" else quantize(values, graph.quantization(name))


def run(graph: Graph, *codes: Array, kernels: Mode = "xnnpack", batch_size: int = 64) -> Array:
    """Codes of every input (N, *input shape) to codes of the output (N, *output shape), or of the first."""
    return run_all(graph, *codes, kernels=kernels, batch_size=batch_size)[0]


def run_all(graph: Graph, *codes: Array, kernels: Mode = "xnnpack", batch_size: int = 64) -> tuple[Array, ...]:
    """Codes of every input (N, *input shape) to codes of every output (N, *output shape)."""
    parts = []
    for i in range(0, len(codes[0]), batch_size):
        values = {}
        for name, value in trace(graph, *(c[i : i + batch_size] for c in codes), kernels=kernels):
            if name in graph.outputs:
                values[name] = value
        parts.append([values[name] for name in graph.outputs])
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def trace(graph: Graph, *codes: Array, kernels: Mode = "xnnpack") -> Iterator[tuple[str, Array]]:
    """Every tensor's name and codes (values in a float island, indices as they are), in order of execution."""
    values = dict(zip(graph.inputs, codes, strict=True))
    yield from values.items()
    left = {name: len(graph.consumers(name)) for name in graph.tensors}
    for op in graph.operators:
        inputs = [values[name] for name in op.inputs]
        values[op.output] = _executed(op, graph, inputs, kernels)
        yield op.output, values[op.output]
        for name in set(op.inputs):
            left[name] -= 1
            if not left[name]:
                values.pop(name, None)


def _executed(op: Operator, graph: Graph, inputs: list[Array], mode: Mode) -> Array:
    if not real(op, graph):
        if mode == "litert-reference":
            return LITERT_REFERENCE[type(op)](op, graph, inputs, "tflm")
        return FORMS[type(op)](op, graph, inputs, mode)
    parameters = [torch.from_numpy(getattr(op, name)) for name in op.parameters]
    shape = graph.tensors[op.output].shape
    values: Array = FLOAT[type(op)](op, *map(torch.from_numpy, inputs), *parameters, shape=shape).numpy()
    return values


def real(op: Operator, graph: Graph) -> bool:
    """Does the operator compute on real values in a quantised graph: is it inside a float island?"""
    ends = [graph.tensors[name] for name in (*op.inputs, op.output)]
    return all(tensor.quantization is None for tensor in ends) and any(tensor.kind == "real" for tensor in ends)
