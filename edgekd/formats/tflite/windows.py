"""Adds a PAD before an operator of windows, or a slice after it, where TFLite's own paddings don't fit."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.layout import IMAGE
from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile
from edgekd.graph.ops import Conv2d, MaxPool2d
from edgekd.graph.structure import Operator


def pad_input(file: FlatbufferFile, op: Conv2d | MaxPool2d) -> tuple[int, int]:
    """Return the (index of the input, TFLite's padding), after a PAD where SAME pads differently from torch."""
    tensor = file.graph.tensors[op.inputs[0]]
    padding = op.tflite_padding(tensor.shape)
    (source,) = file.inputs(op, IMAGE)
    if padding is not None:
        return source, getattr(schema.Padding, padding)
    top, bottom, left, right = op.padding
    amounts = np.array(((0, 0), (top, bottom), (left, right), (0, 0)), np.int32)
    inputs = [source, file.constant(f"{op.name}/paddings", amounts)]
    channels, height, width = tensor.shape
    shape = (height + top + bottom, width + left + right, channels)
    output = file.activation(tensor, f"{op.name}/padded", shape)
    if isinstance(op, Conv2d):  # with real zeros
        file.operator(Code.PAD, file.version(op, 2), inputs, output, schema.PadOptionsT())
        return output, schema.Padding.VALID
    lowest = np.array([np.finfo(np.float32).min], np.float32)
    if (q := tensor.quantization) is not None:
        lowest = np.array([q.lowest], np.int8 if q.bits == 8 else np.int16)
    inputs.append(file.constant(f"{op.name}/lowest", lowest, file.scale_of(tensor.name)))
    file.operator(Code.PADV2, file.version(op, 2), inputs, output, schema.PadV2OptionsT())
    return output, schema.Padding.VALID


def cut(
    file: FlatbufferFile,
    op: Operator,
    source: int,
    begin: tuple[int, int],
    size: tuple[int, int],
    step: tuple[int, int] = (1, 1),
) -> None:
    """Write the operator's output as every `step`th row and column of `source`, from `begin` on."""
    channels = file.graph.tensors[op.output].shape[0]
    ends = [b + (n - 1) * s + 1 for b, n, s in zip(begin, size, step, strict=True)]
    rows = {"begin": (0, *begin, 0), "end": (1, *ends, channels), "steps": (1, *step, 1)}
    arrays = [file.constant(f"{op.name}/{name}", np.array(row, np.int32)) for name, row in rows.items()]
    options = schema.StridedSliceOptionsT()
    options.beginMask = options.endMask = 1  # the whole batch
    file.operator(Code.STRIDED_SLICE, file.version(op, 2), [source, *arrays], file.output(op), options)
