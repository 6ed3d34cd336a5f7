"""A file whose every layer is an output: to find the one at which a runtime parts from the reference."""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.packing import AlignedBuffer
from edgekd.formats.tflite.reading import follow


def expose(path: Path, to: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Write a copy of a file to `to` whose outputs are all codes that its graph holds.

    Returns:
        for each output the graph's tensor, and the output's axes (the batch is 0) in the order in which that has them.
    """
    content = path.read_bytes()
    graph, net = follow(content)
    shown: dict[int, tuple[str, tuple[int, ...]]] = {}
    made = {tensor for op in net.content.operators for tensor in op.outputs}
    for tensor, (form, *_) in net.forms.items():
        codes = graph.tensors.get(form.name)
        axes = tuple(axis for axis in form.axes if axis is not None)
        if tensor in made and codes is not None and codes.quantization is not None and 0 not in axes:
            left = [axis for axis in range(1, len(net.shapes[tensor])) if axis not in axes]
            shown[tensor] = (form.name, (*left, *axes))
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.subgraphs[0].outputs = np.array(list(shown), np.int32)
    model.signatureDefs = []
    model.buffers = [_aligned(buffer) for buffer in model.buffers]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    to.write_bytes(bytes(builder.Output()))
    return list(shown.values())


def _aligned(buffer: schema.BufferT) -> AlignedBuffer:
    aligned = AlignedBuffer()
    if buffer.data is not None and len(buffer.data):
        aligned.data = bytes(buffer.data)
    return aligned
