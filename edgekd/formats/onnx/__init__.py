"""Writes a graph as an ONNX file: float32, or int8 with QuantizeLinear and DequantizeLinear (QDQ) around each operator.

Activations of a quantised graph are uint8 in the file: int8 codes shifted by 128, which is fast in onnxruntime on
x86. Operators that only move or compare codes (slice, pad, reshape, max pool) work on the codes themselves. Each family
of operators has a file here that ends in a table of its writers.
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
"""Python that runs a file with one input; `{}` stands for a sample, `%s` for the input's name."""


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
        input_dtype: ignored, since the input and output of a quantised graph are always uint8 in ONNX.
        decoding: Python that decodes `answer`, for the line of usage in the metadata.
        kernels: ignored, since the file is the same for all kernel sets.

    Raises:
        UnsupportedOperatorError: an operator, which the message names, has no ONNX form.
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
    """Serialise `graph` to the bytes of a file; the same graph gives the same bytes."""
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
    file_input = FileInput("uint8", shape, 0 if shape else None)
    metadata = describe(graph, labels, preprocessing, file_input, "uint8", RUN % graph.input, decoding)
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString(deterministic=True))
