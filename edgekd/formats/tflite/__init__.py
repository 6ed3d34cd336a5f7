"""Writes a graph as a TFLite file, float32 or int8, channel-last, straight through the flatbuffer schema.

Weights of a quantised graph are int8 per output channel, as the TFLite 8-bit quantization specification has them; the
scales in the file are the very ones that were trained. Each family of operators has a file here, with its table.
"""

from collections.abc import Sequence
from pathlib import Path

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.metadata import DType, FileInput, Preprocessing, describe
from edgekd.formats.tflite import (
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
from edgekd.formats.tflite.flatbuffer import FlatbufferFile, Writer
from edgekd.formats.tflite.layout import Order
from edgekd.formats.tflite.reading import read
from edgekd.formats.tflite.reading.exposing import expose
from edgekd.formats.tflite.task_metadata import NAME, task_metadata, with_labels
from edgekd.graph.structure import Graph, Operator

FAMILIES = (
    weighted, elementwise, unary, pooling, movement, boundaries, attention, normalisation, embedding, resize,
)  # fmt: skip

__all__ = ["expose", "read", "serialize", "write"]

WRITERS: dict[type[Operator], Writer] = {kind: write for family in FAMILIES for kind, write in family.WRITERS.items()}


RUN = (
    "from ai_edge_litert.interpreter import Interpreter; "
    'answer = Interpreter(path).get_signature_runner()(input={}[None])["output"]'
)
"""Of a file with one input and one output; `{}` is a sample."""


def write(
    graph: Graph,
    path: Path,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
) -> Path:
    """Write `graph` to `path` with batch 1; the input and output of a quantised graph are int8.

    Args:
        input_dtype: "uint8" lets a quantised graph take uint8 all the same: a QUANTIZE in front takes 128 off.
        decoding: Python that goes on from `answer`, for the line of usage in the metadata.

    Raises:
        UnsupportedOperatorError: naming the operator that TFLite has no form for.
    """
    path.write_bytes(serialize(graph, labels, preprocessing, input_dtype, decoding))
    return path


def serialize(
    graph: Graph,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
) -> bytes:
    """The file's bytes; the same graph gives the same bytes."""
    file = _with_fewest_moves(graph, input_dtype == "uint8")
    form = file.taken[0]
    places = form.layout.axes[0] if form.layout.axes else ()
    taken = FileInput(input_dtype, form.shape, places[0] if len(places) == 1 else None)
    about = describe(graph, labels, preprocessing, taken, "int8", RUN, decoding)
    if not labels and preprocessing is None:
        return file.finish(about)
    task = task_metadata(graph, labels, preprocessing)
    return with_labels(file.finish({**about, NAME: task}), labels)


def _with_fewest_moves(graph: Graph, unsigned: bool) -> FlatbufferFile:
    """The file whose inputs stand in the order that its kernels read: (T, C) for a network of 1-D convolutions."""
    orders: dict[str, Order] = {}
    best = _written(graph, orders, unsigned)
    for name in graph.inputs:
        rank = len(graph.tensors[name].shape)
        for order in (tuple(range(rank)), (*range(1, rank), 0)):
            if best.moves and rank in (2, 3):
                trial = _written(graph, orders | {name: order}, unsigned)
                if trial.moves < best.moves:
                    best, orders = trial, orders | {name: order}
    return best


def _written(graph: Graph, orders: dict[str, Order], unsigned: bool) -> FlatbufferFile:
    file = FlatbufferFile(graph, orders, unsigned)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no TFLite form", 'export.formats = ["onnx"]'
            )
        WRITERS[type(op)](file, op)
    file.give()
    return file
