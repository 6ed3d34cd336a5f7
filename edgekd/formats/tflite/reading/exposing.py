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
    places: dict[int, tuple[str, tuple[int, ...]]] = {}
    outputs = {tensor for op in net.content.operators for tensor in op.outputs}
    for tensor, (form, *_) in net.forms.items():
        codes = graph.tensors.get(form.name)
        axes = tuple(axis for axis in form.axes if axis is not None)
        if tensor in outputs and codes is not None and codes.quantization is not None and 0 not in axes:
            left = [axis for axis in range(1, len(net.shapes[tensor])) if axis not in axes]
            places[tensor] = (form.name, (*left, *axes))
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.subgraphs[0].outputs = np.array(list(places), np.int32)
    model.signatureDefs = []
    model.buffers = [AlignedBuffer() for _ in model.buffers]
    for tensor, stored in zip(model.subgraphs[0].tensors, net.content.tensors, strict=True):
        if stored.values is not None:
            model.buffers[tensor.buffer].data = stored.values.tobytes()
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    to.write_bytes(bytes(builder.Output()))
    return list(places.values())
