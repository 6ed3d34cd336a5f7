"""Gives the reader of files the readers of average pools, max pools and means."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import Code
from edgekd.formats.tflite.reading.network import IMAGE, Network, Reader
from edgekd.formats.tflite.reading.windows import explicit_padding, sizes
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean
from edgekd.graph.windows import output_length


def _read_pool(net: Network, op: StoredOperator) -> None:
    options, source = op.options(schema.Pool2DOptionsT), net.input(op, 0)
    net.check_same_scale(op, source, op.outputs[0])
    name = net.read_image(op, source)
    _, height, width, channels = net.shapes[source]
    kernel, stride = sizes(op, options.filterHeight, options.filterWidth), sizes(op, options.strideH, options.strideW)
    padding = explicit_padding(op, options.padding, (height, width), kernel, stride)
    top, bottom, left, right = padding
    out = (
        output_length(height, kernel[0], stride[0], top, bottom),
        output_length(width, kernel[1], stride[1], left, right),
    )
    net.output_shape(op, (1, *out, channels))
    kind = MaxPool2d if op.code == Code.MAX_POOL_2D else AveragePool2d
    activation = net.activation(op, options.fusedActivationFunction)
    net.emit(op, lambda n, o: kind(n, (name,), o, kernel, stride, padding), IMAGE, activation)


def _read_mean(net: Network, op: StoredOperator) -> None:
    """Read a MEAN over any axes; the remaining axes keep the order of the graph's tensor."""
    options, source = op.options(schema.ReducerOptionsT), net.input(op, 0)
    shape = net.shapes[source]
    axes = {int(axis) % len(shape) for axis in net.constant(op, 1, "axes").ravel() if -len(shape) <= axis < len(shape)}
    if not axes:
        raise damage_error(f"{op} has no axes of its input")
    remaining_axes = [axis for axis in range(len(shape)) if axis not in axes]
    shape_with_ones = [1 if axis in axes else n for axis, n in enumerate(shape)]
    net.output_shape(op, shape_with_ones if options.keepDims else [shape[axis] for axis in remaining_axes])
    form_axes = net.axes(source)
    if not axes & set(form_axes):  # all are axes of length 1 that the graph's tensor lacks
        form_axes = IMAGE if len(shape) == 4 and shape[0] == 1 else net.file_axes(source)
    name = net.read(source, form_axes)
    places = tuple(place for place, axis in enumerate(form_axes) if axis in axes)
    if not places:
        raise op.refusal("takes the mean over the batch", "leave it out")
    remaining_form_axes = [axis for axis in form_axes if axis not in axes]
    output_axes = {axis: axis if options.keepDims else remaining_axes.index(axis) for axis in remaining_axes}
    out = tuple(None if axis is None else output_axes[axis] for axis in remaining_form_axes)
    if len(form_axes) == 3 and places == (1, 2):
        net.emit(op, lambda n, o: GlobalAveragePool(n, (name,), o), out)
    else:
        net.emit(op, lambda n, o: Mean(n, (name,), o, places), out)


READERS: dict[int, Reader] = {
    Code.AVERAGE_POOL_2D: _read_pool,
    Code.MAX_POOL_2D: _read_pool,
    Code.MEAN: _read_mean,
}
