"""Operators that move values, and what keeps torch's order of values where a reshape needs it."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.exporters.tflite.flatbuffer import Code, FlatbufferFile, Writer, channel_last
from edgekd.graph.ops import Constant, Linear, Pad, Reshape, Slice
from edgekd.graph.structure import Operator, Tensor


def _write_pad(file: FlatbufferFile, op: Pad) -> None:
    amounts = channel_last(op.amounts) if len(op.amounts) == 3 else op.amounts  # type: ignore[arg-type]
    by = file.constant(f"{op.name}/paddings", np.array(((0, 0), *amounts), np.int32))
    inputs = [*file.inputs(op), by]
    file.operator(Code.PAD, file.version(op, 2), inputs, file.output(op), schema.PadOptionsT())


def _write_slice(file: FlatbufferFile, op: Slice) -> None:
    ranges = channel_last(op.ranges) if len(op.ranges) == 3 else op.ranges  # type: ignore[arg-type]
    rows = np.array(((0, 0, 1), *ranges), np.int32)
    names = ("begin", "end", "strides")
    arrays = [file.constant(f"{op.name}/{name}", rows[:, i].copy()) for i, name in enumerate(names)]
    options = schema.StridedSliceOptionsT()
    options.beginMask = options.endMask = 1  # the whole batch
    file.operator(Code.STRIDED_SLICE, file.version(op, 2), [*file.inputs(op), *arrays], file.output(op), options)


def _write_reshape(file: FlatbufferFile, op: Reshape) -> None:
    before, after = file.graph.tensors[op.inputs[0]], file.graph.tensors[op.output]
    source = file.activation(before)
    reordered = len(before.shape) == 3 and before.shape[0] > 1 and before.shape[1] * before.shape[2] > 1
    into_linear = len(after.shape) == 1 and after.name not in file.graph.outputs
    if reordered and into_linear and all(isinstance(c, Linear) for c in file.graph.consumers(after.name)):
        file.permuted.add(after.name)
    elif reordered:
        source = write_transpose(file, op, "channel_first", before, source, (0, 3, 1, 2), before.shape)
    back = len(after.shape) == 3 and after.shape[0] > 1 and after.shape[1] * after.shape[2] > 1
    if not back:
        write_reshape(file, op.name, source, file.output(op), channel_last(after.shape))
        return
    flat = file.activation(after, f"{op.name}/channel_first_out", after.shape)
    write_reshape(file, op.name, source, flat, after.shape)
    write_transpose(file, op, None, after, flat, (0, 2, 3, 1), channel_last(after.shape))


def write_reshape(file: FlatbufferFile, name: str, source: int, output: int, shape: tuple[int, ...]) -> None:
    target = np.array((-1, *shape), np.int32)
    options = schema.ReshapeOptionsT()
    options.newShape = target
    inputs = [source, file.constant(f"{name}/shape", target)]
    file.operator(Code.RESHAPE, 1, inputs, output, options)


def write_transpose(
    file: FlatbufferFile,
    op: Operator,
    suffix: str | None,
    tensor: Tensor,
    source: int,
    order: tuple[int, ...],
    shape: tuple[int, ...],
) -> int:
    by = file.constant(f"{op.name}/order{len(file.tensors)}", np.array(order, np.int32))
    output = file.activation(tensor, f"{op.name}/{suffix}" if suffix else None, shape)
    file.operator(Code.TRANSPOSE, file.version(op, 2), [source, by], output, schema.TransposeOptionsT())
    return output


def _write_constant(file: FlatbufferFile, op: Constant) -> None:
    file.stored(op.output, op.value)


WRITERS: dict[type[Operator], Writer] = {
    Pad: _write_pad,
    Slice: _write_slice,
    Reshape: _write_reshape,
    Constant: _write_constant,
}
