"""The TFLite forms of operators that move values; a transpose or a reshape only changes a tensor's layout."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.layout import IMAGE, Layout
from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.ops import Concat, Constant, Pad, Requantize, Reshape, Slice, Take, Transpose
from edgekd.graph.positions import Positions, is_reversed, reflection, repetitions
from edgekd.graph.structure import Array, Operator

STRIDED_AXES = 4
"""The most axes that TFLite Micro's STRIDED_SLICE takes, batch included."""


def by_place(file: FlatbufferFile, op: Operator, rows: Sequence[Any], filler: Any) -> Array:
    """Reorder a row for each of torch's axes to the axes in which the operator's input was read, batch included."""
    order = file.input_orders[op.output]
    return np.array([filler, *(filler if axis is None else rows[axis] for axis in order)], np.int32)


def _write_pad(file: FlatbufferFile, op: Pad) -> None:
    sources = file.inputs(op)
    paddings = file.constant(f"{op.name}/paddings", by_place(file, op, op.amounts, (0, 0)))
    if not op.value:
        file.operator(Code.PAD, file.version(op, 2), [*sources, paddings], file.output(op), schema.PadOptionsT())
        return
    scale, value = file.graph.tensors[op.output].quantization, np.array([op.value], np.float32)
    border = file.constant(f"{op.name}/value", quantize(value, scale) if scale else value, file.scale_of(op.output))
    inputs = [*sources, paddings, border]
    file.operator(Code.PADV2, file.version(op, 2), inputs, file.output(op), schema.PadV2OptionsT())


def _write_slice(file: FlatbufferFile, op: Slice) -> None:
    sources = file.inputs(op)
    begin, end, step = by_place(file, op, op.ranges, (0, 1, 1)).T
    if (step > 1).any() and len(step) > STRIDED_AXES:
        _write_axis_by_axis(file, op, _ranges_as_positions(file, op))
        return
    if (step == 1).all():
        arrays = [file.constant(f"{op.name}/{n}", v.copy()) for n, v in (("begin", begin), ("size", end - begin))]
        options, code = schema.SliceOptionsT(), Code.SLICE
    else:
        names = (("begin", begin), ("end", end), ("steps", step))
        arrays = [file.constant(f"{op.name}/{name}", values.copy()) for name, values in names]
        options, code = schema.StridedSliceOptionsT(), Code.STRIDED_SLICE
        options.beginMask = options.endMask = 1  # the whole batch
    file.operator(code, file.version(op, 2), [*sources, *arrays], file.output(op), options)


def _ranges_as_positions(file: FlatbufferFile, op: Slice) -> list[Positions | None]:
    shape = file.graph.tensors[op.inputs[0]].shape
    return [None if r == (0, n, 1) else tuple(range(*r)) for r, n in zip(op.ranges, shape, strict=True)]


def _write_reshape(file: FlatbufferFile, op: Reshape) -> None:
    name, shape = op.inputs[0], file.graph.tensors[op.output].shape
    if name in file.memory.values:
        file.store(op.output, file.memory.values[name].reshape(shape))
        return
    if all(form.layout.reshape(shape) is None for form in file.memory.forms[name]):
        file.read(name, tuple(range(len(file.graph.tensors[name].shape))))
    layouts = [(form, form.layout.reshape(shape)) for form in file.memory.forms[name]]
    file.memory.forms[op.output] = [replace(form, layout=layout) for form, layout in layouts if layout]


def _write_transpose(file: FlatbufferFile, op: Transpose) -> None:
    name = op.inputs[0]
    if name in file.memory.values:
        file.store(op.output, file.memory.values[name].transpose(op.order))
        return
    layouts = [(form, form.layout.transpose(op.order)) for form in file.memory.forms[name]]
    file.memory.forms[op.output] = [replace(form, layout=layout) for form, layout in layouts]


def _write_concat(file: FlatbufferFile, op: Concat) -> None:
    sources = file.inputs(op)
    options = schema.ConcatenationOptionsT()
    options.axis = 1 + file.input_orders[op.output].index(op.axis)
    options.fusedActivationFunction = schema.ActivationFunctionType.NONE
    file.operator(Code.CONCATENATION, file.version(op, 2), sources, file.output(op), options)


def _write_take(file: FlatbufferFile, op: Take) -> None:
    shape = file.graph.tensors[op.inputs[0]].shape
    axes = {axis: (positions, shape[axis]) for axis, positions in enumerate(op.positions) if positions is not None}
    reflections = {axis: reflection(*axis_positions) for axis, axis_positions in axes.items()}
    if len(shape) == 3 and 0 not in axes and all(repetitions(*axis_positions) for axis_positions in axes.values()):
        _write_nearest(file, op)
    elif all(reflections.values()):
        sources, rows = file.inputs(op), [reflections.get(axis) or (0, 0) for axis in range(len(shape))]
        inputs = [*sources, file.constant(f"{op.name}/paddings", by_place(file, op, rows, (0, 0)))]
        options = schema.MirrorPadOptionsT()
        options.mode = schema.MirrorPadMode.REFLECT
        file.operator(Code.MIRROR_PAD, file.version(op, 2), inputs, file.output(op), options)
    else:
        _write_axis_by_axis(file, op, op.positions)


def _write_nearest(file: FlatbufferFile, op: Take) -> None:
    """Write nearest-neighbour resizing by integer factors, for which all rounding rules agree."""
    source, size = file.inputs(op, IMAGE)[0], file.graph.tensors[op.output].shape[1:]
    inputs = [source, file.constant(f"{op.name}/size", np.array(size, np.int32))]
    options = schema.ResizeNearestNeighborOptionsT()
    options.alignCorners, options.halfPixelCenters = False, False
    file.operator(Code.RESIZE_NEAREST_NEIGHBOR, file.version(op, 2), inputs, file.output(op), options)


def _write_axis_by_axis(file: FlatbufferFile, op: Operator, positions: Sequence[Positions | None]) -> None:
    """Write a REVERSE_V2 for each reversed axis and a GATHER for each other one that has positions."""
    source, order = file.inputs(op)[0], file.input_orders[op.output]
    tensor = file.graph.tensors[op.inputs[0]]
    shape, axes = list(tensor.shape), {axis: indices for axis, indices in enumerate(positions) if indices is not None}
    for axis, axis_positions in axes.items():
        indices, length = np.array(axis_positions, np.int32), shape[axis]
        shape[axis] = len(indices)
        sizes = Layout.of(tuple(shape), order).sizes
        last = axis == max(axes)
        output = file.output(op) if last else file.activation(tensor, f"{op.name}/{axis}", sizes)
        if is_reversed(axis_positions, length):
            place = np.array([order.index(axis) + 1], np.int32)
            inputs, code = [source, file.constant(f"{op.name}/axis{axis}", place)], Code.REVERSE_V2
            options = schema.ReverseV2OptionsT()
        else:
            inputs, code = [source, file.constant(f"{op.name}/positions{axis}", indices)], Code.GATHER
            options = schema.GatherOptionsT()
            options.axis = order.index(axis) + 1
        file.operator(code, file.version(op, 2), inputs, output, options)
        source = output


def _write_constant(file: FlatbufferFile, op: Constant) -> None:
    file.store(op.output, op.value)


def _write_requantize(file: FlatbufferFile, op: Requantize) -> None:
    file.operator(Code.QUANTIZE, file.version(op, 2), file.operands(op), file.output(op), schema.QuantizeOptionsT())


WRITERS: dict[type[Operator], Writer] = {
    Pad: _write_pad,
    Slice: _write_slice,
    Reshape: _write_reshape,
    Transpose: _write_transpose,
    Concat: _write_concat,
    Take: _write_take,
    Constant: _write_constant,
    Requantize: _write_requantize,
}
