"""Gives the pipeline a file whose every layer is an output, to find the first that differs from the reference."""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.packing import AlignedBuffer
from edgekd.formats.tflite.reading import follow


def expose(path: Path, to: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Write a copy of a file to `to`, whose outputs are all tensors of codes that its graph holds.

    Returns:
        the name of the graph's tensor for each output, and the output's axes (0 is the batch) in that tensor's order.
    """
    content = path.read_bytes()
    graph, net = follow(content)
    outputs_by_tensor: dict[int, tuple[str, tuple[int, ...]]] = {}
    computed_tensors = {tensor for op in net.content.operators for tensor in op.outputs}
    for tensor, (form, *_) in net.forms.items():
        codes = graph.tensors.get(form.name)
        axes = tuple(axis for axis in form.axes if axis is not None)
        if tensor in computed_tensors and codes is not None and codes.quantization is not None and 0 not in axes:
            other_axes = [axis for axis in range(1, len(net.shapes[tensor])) if axis not in axes]
            outputs_by_tensor[tensor] = (form.name, (*other_axes, *axes))
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    model.subgraphs[0].outputs = np.array(list(outputs_by_tensor), np.int32)
    model.signatureDefs = []
    model.buffers = [AlignedBuffer() for _ in model.buffers]
    for tensor, stored in zip(model.subgraphs[0].tensors, net.content.tensors, strict=True):
        if stored.values is not None:
            model.buffers[tensor.buffer].data = stored.values.tobytes()
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    to.write_bytes(bytes(builder.Output()))
    return list(outputs_by_tensor.values())
