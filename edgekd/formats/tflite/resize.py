"""The TFLite form of bilinear resizing."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.layout import IMAGE
from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.graph.ops import Resize
from edgekd.graph.structure import Operator


def _write_resize(file: FlatbufferFile, op: Resize) -> None:
    source, size = file.inputs(op, IMAGE)[0], file.graph.tensors[op.output].shape[1:]
    inputs = [source, file.constant(f"{op.name}/size", np.array(size, np.int32))]
    options = schema.ResizeBilinearOptionsT()
    options.alignCorners, options.halfPixelCenters = op.align_corners, not op.align_corners
    file.operator(Code.RESIZE_BILINEAR, 3, inputs, file.output(op), options)


WRITERS: dict[type[Operator], Writer] = {Resize: _write_resize}
