"""The ONNX form of embeddings."""

import numpy as np

from edgekd.formats.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Operator


def _write_embedding(file: OnnxFile, op: Embedding) -> None:
    rows = op.weight
    if rows.dtype == np.int8:
        rows = (rows.astype(np.int16) + SHIFT).astype(np.uint8)
    file.node("Gather", [file.constant(f"{op.name}/weight", rows), op.inputs[0]], op.output, axis=0)


WRITERS: dict[type[Operator], Writer] = {Embedding: _write_embedding}
