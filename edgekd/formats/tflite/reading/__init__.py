"""Gives the pipeline the quantised graph of an int8 TFLite file, with the file's scales, zero points and weights.

The main subgraph is read operator by operator; each family of operators has a file here with a table of its readers. An
operator that the graph has no form for raises an UnsupportedOperatorError, and a damaged file raises a ModelError.
"""

from pathlib import Path

import numpy as np

from edgekd.errors import EdgekdError, ModelError
from edgekd.formats.tflite.reading import (
    attention,
    boundaries,
    elementwise,
    embedding,
    joining,
    movement,
    pooling,
    resize,
    unary,
    weighted,
)
from edgekd.formats.tflite.reading.content import (
    CODE_NAMES,
    Content,
    StoredOperator,
    damage_error,
    only_model_errors,
    parse,
)
from edgekd.formats.tflite.reading.ends import declare_inputs, output_graph
from edgekd.formats.tflite.reading.file_tensors import FULL_INTEGER
from edgekd.formats.tflite.reading.folding import fold
from edgekd.formats.tflite.reading.network import Network, Reader
from edgekd.formats.tflite.reading.padding import fold_padding
from edgekd.graph.structure import Graph
from edgekd.runtimes.axes import stored_axes

FAMILIES = (weighted, elementwise, unary, pooling, movement, joining, boundaries, attention, embedding, resize)

READERS: dict[int, Reader] = {code: read for family in FAMILIES for code, read in family.READERS.items()}

LARGEST_FILE = 2**30
"""The largest file in bytes; a network for an edge device takes about a thousandth of it."""


def read(path: Path) -> Graph:
    """Return the quantised graph of an int8 TFLite file, with images channels first.

    Raises:
        ModelError: the file is missing, damaged, or computes on real values.
        UnsupportedOperatorError: naming the operator that the graph has no form for.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no file {path}", "name a .tflite file")
    if path.stat().st_size > LARGEST_FILE:
        raise ModelError(f"{path.name} has {path.stat().st_size / 2**30:.1f} GB", "an int8 network for an edge device")
    try:
        return deserialize(path.read_bytes())
    except EdgekdError as error:
        raise type(error)(f"{path.name}: {error.what}", error.remedy) from error


def deserialize(content: bytes) -> Graph:
    """Return the graph of a file's bytes; raises what `read` does."""
    return follow(content)[0]


def follow(content: bytes) -> tuple[Graph, Network]:
    """Return the graph of a file's bytes, and the network that maps the file's tensors to the graph's."""
    with only_model_errors():
        file = parse(content)
        _check_codes(file)
        ends = file.inputs, file.outputs
        inputs, outputs = (
            stored_axes(content, role, [max(len(file.tensors[tensor].shape) - 1, 0) for tensor in tensors])
            for role, tensors in zip(("input", "output"), ends, strict=True)
        )
        net = Network(file)
        declare_inputs(net, inputs)
        for op in file.operators:
            if op.index not in net.operators_to_skip:
                _read_operator(net, op)
        return fold_padding(output_graph(net, outputs)), net


def _read_operator(net: Network, op: StoredOperator) -> None:
    for tensor in op.inputs:
        if tensor >= 0 and tensor not in net.shapes:
            raise damage_error(f"{op} reads {net.name(tensor)}, which no operator before it makes")
    if any(tensor in net.shapes for tensor in op.outputs) or len(set(op.outputs)) < len(op.outputs):
        raise damage_error(f"{op} makes a tensor that is there already")
    if fold(net, op):
        return
    if op.code not in READERS:
        raise op.refusal(
            "has no form in edgekd's graph",
            f"a network of {', '.join(sorted(CODE_NAMES[code] for code in READERS))}",
        )
    net.check_types(op)
    READERS[op.code](net, op)


def _check_codes(file: Content) -> None:
    """Refuse a file that has neither int8 nor int16 activations."""
    dtypes = {file.tensors[tensor].dtype for op in file.operators for tensor in op.outputs}
    if dtypes & {np.dtype(np.int8), np.dtype(np.int16)}:
        return
    kind = "computes on uint8 codes, as TFLite did before 2019" if np.dtype(np.uint8) in dtypes else "computes in float"
    raise ModelError(f"it {kind}; edgekd reads int8 files", f"{FULL_INTEGER}; or give edgekd the torch module")
