"""The TFLite form of embeddings."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Operator


def _write_embedding(file: FlatbufferFile, op: Embedding) -> None:
    options = schema.GatherOptionsT()
    options.axis = options.batchDims = 0
    table = file.constant(f"{op.name}/weight", op.weight, file.scale_of(op.output))
    version = 2 if op.weight.dtype == np.int8 else 1
    file.operator(Code.GATHER, version, [table, *file.plain_inputs(op)], file.output(op), options)


WRITERS: dict[type[Operator], Writer] = {Embedding: _write_embedding}
