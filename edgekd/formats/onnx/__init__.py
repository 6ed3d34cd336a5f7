"""Writes a graph as an ONNX file: float32, or int8 with QuantizeLinear and DequantizeLinear (QDQ) around each operator.

Activations of a quantised graph are uint8 in the file: int8 codes shifted by 128, the form that onnxruntime runs fast
on x86. Operators that only move or compare codes (slice, pad, reshape, max pool) work on the codes themselves. Each
family of operators has a file here, with its table.
"""

from collections.abc import Sequence
from pathlib import Path

from onnx import helper

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.metadata import DType, FileInput, Preprocessing, describe
from edgekd.formats.onnx import (
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
from edgekd.formats.onnx.model import OnnxFile, Writer
from edgekd.graph.structure import Graph, Mode, Operator

FAMILIES = (
    weighted, elementwise, unary, pooling, movement, boundaries, attention, normalisation, embedding, resize,
)  # fmt: skip

WRITERS: dict[type[Operator], Writer] = {kind: write for family in FAMILIES for kind, write in family.WRITERS.items()}


RUN = 'from onnxruntime import InferenceSession; answer = InferenceSession(path).run(None, {{"%s": {}[None]}})[0]'
"""Of a file with one input and one output; `{}` is a sample, `%s` the input."""


def write(
    graph: Graph,
    path: Path,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "uint8",
    decoding: str = "",
    kernels: Mode = "onnxruntime",
) -> Path:
    """Write `graph` to `path` with a free batch.

    Args:
        input_dtype: whatever it is, the input and output of a quantised graph are uint8 in ONNX.
        decoding: Python that goes on from `answer`, for the line of usage in the metadata.
        kernels: those that the student was trained to; the file is the same for all.

    Raises:
        UnsupportedOperatorError: naming the operator that has no ONNX form here.
    """
    path.write_bytes(serialize(graph, labels, preprocessing, input_dtype, decoding))
    return path


def serialize(
    graph: Graph,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "uint8",
    decoding: str = "",
    kernels: Mode = "onnxruntime",
) -> bytes:
    """The file's bytes; the same graph gives the same bytes."""
    file = OnnxFile(graph)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no ONNX form", 'export.formats = ["tflite"]'
            )
        if graph.tensors[op.output].bits == 16 and graph.quantized:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has 16-bit codes, which onnxruntime can't run",
                'export.formats = ["tflite"], or no quantize.int16_layers',
            )
        WRITERS[type(op)](file, op)
    model = file.finish()
    shape = graph.tensors[graph.input].shape
    taken = FileInput("uint8", shape, 0 if shape else None)
    helper.set_model_props(model, describe(graph, labels, preprocessing, taken, "uint8", RUN % graph.input, decoding))
    return bytes(model.SerializeToString(deterministic=True))
