"""Writes a graph as an ONNX file: float32, or int8 with QuantizeLinear and DequantizeLinear (QDQ) around each operator.

Activations of a quantised graph are uint8 in the file: int8 codes shifted by 128, the form that onnxruntime runs fast
on x86. Operators that only move or compare codes (slice, pad, reshape, max pool) work on the codes themselves. Each
family of operators has a file here, with its table.
"""

from collections.abc import Sequence
from pathlib import Path

from onnx import helper

from edgekd.errors import UnsupportedOperatorError
from edgekd.exporters.metadata import Preprocessing, describe
from edgekd.exporters.onnx import elementwise, islands, movement, pooling, weighted
from edgekd.exporters.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.structure import Graph, Operator

FAMILIES = (weighted, elementwise, pooling, movement, islands)

WRITERS: dict[type[Operator], Writer] = {kind: write for family in FAMILIES for kind, write in family.WRITERS.items()}


def write(graph: Graph, path: Path, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> Path:
    """Write `graph` to `path` with a free batch; the input and output of a quantised graph are uint8.

    Raises:
        UnsupportedOperatorError: naming the operator that has no ONNX form here.
    """
    path.write_bytes(serialize(graph, labels, preprocessing))
    return path


def serialize(graph: Graph, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> bytes:
    """The file's bytes; the same graph gives the same bytes."""
    file = OnnxFile(graph)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no ONNX form", 'export.formats = ["tflite"]'
            )
        WRITERS[type(op)](file, op)
    model = file.finish()
    helper.set_model_props(model, describe(graph, labels, preprocessing, SHIFT))
    return bytes(model.SerializeToString(deterministic=True))
