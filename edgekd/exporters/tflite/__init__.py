"""Writes a graph as a TFLite file, float32 or int8, channel-last, straight through the flatbuffer schema.

Weights of a quantised graph are int8 per output channel, as the TFLite 8-bit quantization specification has them; the
scales in the file are the very ones that were trained. Each family of operators has a file here, with its table.
"""

from collections.abc import Sequence
from pathlib import Path

from edgekd.errors import UnsupportedOperatorError
from edgekd.exporters.metadata import Preprocessing, describe
from edgekd.exporters.tflite import elementwise, islands, movement, pooling, weighted
from edgekd.exporters.tflite.flatbuffer import FlatbufferFile, Writer
from edgekd.graph.structure import Graph, Operator

FAMILIES = (weighted, elementwise, pooling, movement, islands)

WRITERS: dict[type[Operator], Writer] = {kind: write for family in FAMILIES for kind, write in family.WRITERS.items()}


def write(graph: Graph, path: Path, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> Path:
    """Write `graph` to `path` with batch 1; the input and output of a quantised graph are int8.

    Raises:
        UnsupportedOperatorError: naming the operator that TFLite has no form for.
    """
    path.write_bytes(serialize(graph, labels, preprocessing))
    return path


def serialize(graph: Graph, labels: Sequence[str] = (), preprocessing: Preprocessing | None = None) -> bytes:
    """The file's bytes; the same graph gives the same bytes."""
    file = FlatbufferFile(graph)
    for op in graph.operators:
        if type(op) not in WRITERS:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no TFLite form", 'export.formats = ["onnx"]'
            )
        WRITERS[type(op)](file, op)
    return file.finish(describe(graph, labels, preprocessing))
