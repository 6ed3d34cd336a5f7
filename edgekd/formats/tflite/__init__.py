"""Writes a graph as a TFLite file, float32 or int8, channels last, by the flatbuffer schema itself.

Weights of a quantised graph are int8 per output channel, after the TFLite 8-bit quantization specification, and the
scales in the file are those of the training. Each family of operators has a file here that ends in a table of its
writers.
"""

from collections.abc import Sequence
from pathlib import Path

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.layout import Order
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
from edgekd.formats.tflite.reading import read
from edgekd.formats.tflite.reading.exposing import expose
from edgekd.formats.tflite.task_metadata import NAME, task_metadata, with_labels
from edgekd.graph.structure import Graph, Mode, Operator

FAMILIES = (
    weighted, elementwise, unary, pooling, movement, boundaries, attention, normalisation, embedding, resize,
)  # fmt: skip

__all__ = ["expose", "read", "serialize", "write"]

WRITERS: dict[type[Operator], Writer] = {kind: write for family in FAMILIES for kind, write in family.WRITERS.items()}


RUN = (
    "from ai_edge_litert.interpreter import Interpreter; "
    'answer = Interpreter(path).get_signature_runner()(input={}[None])["output"]'
)
"""Python that runs a file with one input; `{}` stands for a sample."""


def write(
    graph: Graph,
    path: Path,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
    kernels: Mode = "xnnpack",
) -> Path:
    """Write `graph` to `path` with batch 1; the input and output of a quantised graph are int8.

    Args:
        input_dtype: of a quantised graph's input; for "uint8" a QUANTIZE in front subtracts 128.
        decoding: Python that decodes `answer`, for the line of usage in the metadata.
        kernels: ignored, since the file is the same for all kernel sets.

    Raises:
        UnsupportedOperatorError: an operator, which the message names, has no TFLite form.
    """
    path.write_bytes(serialize(graph, labels, preprocessing, input_dtype, decoding))
    return path


def serialize(
    graph: Graph,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
    kernels: Mode = "xnnpack",
) -> bytes:
    """Serialise `graph` to the bytes of a file; the same graph gives the same bytes."""
    file = _with_fewest_moves(graph, input_dtype == "uint8")
    form = file.input_forms[0]
    places = form.layout.axes[0] if form.layout.axes else ()
    file_input = FileInput(input_dtype, form.shape, places[0] if len(places) == 1 else None)
    metadata = describe(graph, labels, preprocessing, file_input, "int8", RUN, decoding)
    if not labels and preprocessing is None:
        return file.finish(metadata)
    task = task_metadata(graph, labels, preprocessing)
    return with_labels(file.finish({**metadata, NAME: task}), labels)


def _with_fewest_moves(graph: Graph, unsigned: bool) -> FlatbufferFile:
    """The file with that order of each input's axes which needs the fewest transposes: (T, C) for 1-D convolutions."""
    orders: dict[str, Order] = {}
    best = _write_operators(graph, orders, unsigned)
    for name in graph.inputs:
        rank = len(graph.tensors[name].shape)
        for order in (tuple(range(rank)), (*range(1, rank), 0)):
            if best.moves and rank in (2, 3):
                trial = _write_operators(graph, orders | {name: order}, unsigned)
                if trial.moves < best.moves:
                    best, orders = trial, orders | {name: order}
    return best


def _write_operators(graph: Graph, orders: dict[str, Order], unsigned: bool) -> FlatbufferFile:
    file = FlatbufferFile(graph, orders, unsigned)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no TFLite form", 'export.formats = ["onnx"]'
            )
        WRITERS[type(op)](file, op)
    file.finish_outputs()
    return file
