"""Gives the reader of files the readers of convolutions and linear layers."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import FULL_INTEGER, Code
from edgekd.formats.tflite.reading.network import IMAGE, Network, Reader
from edgekd.formats.tflite.reading.windows import explicit_padding, sizes
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear
from edgekd.graph.structure import Array
from edgekd.graph.windows import output_length, same_padding

BIAS_DTYPES = {8: np.dtype(np.int32), 16: np.dtype(np.int64)}
"""The dtype of biases by the number of bits of activations."""


@dataclass(frozen=True)
class Parameters:
    """The constants of an operator with weights.

    Attributes:
        weight: the weights in the file's axis order.
        bias: the biases, of shape (out,).
        scale: the weights' scales, of shape (out,) or (1,), or None for float weights.
    """

    weight: Array
    bias: Array
    scale: Array | None


def parameters(net: Network, op: StoredOperator, source: int, places: tuple[int, int], channel_axis: int) -> Parameters:
    """Return the constants of an operator; `places` are the places of weights and bias among its inputs."""
    weight = net.constant(op, places[0], "weights")
    stored = net.content.tensors[op.inputs[places[0]]]
    codes = net.quantization(source)
    outputs = weight.shape[channel_axis]
    tensor = op.inputs[places[1]] if places[1] < len(op.inputs) else -1
    if codes is None:
        if weight.dtype != np.float32:
            raise op.refusal("has quantized weights and real activations", FULL_INTEGER)
        bias = np.zeros(outputs, np.float32)
    else:
        if weight.dtype != np.int8:
            raise op.refusal(f"has weights in {stored.type_name}", FULL_INTEGER)
        if len(stored.scales) not in (1, outputs) or (len(stored.scales) > 1 and stored.axis != channel_axis):
            raise damage_error(f"{op} has {len(stored.scales)} scales of weights for {outputs} channels")
        scales_shape = [1] * weight.ndim
        scales_shape[channel_axis] = -1
        weight = _without_zero_point(
            op, weight, stored.zero_points.reshape(scales_shape) if outputs > 1 else stored.zero_points
        )
        bias = np.zeros(outputs, np.int32)
    if tensor >= 0:
        bias = net.constant(op, places[1], "biases")
        if bias.size != outputs or bias.dtype not in (
            {np.dtype(np.float32)} if codes is None else BIAS_DTYPES.values()
        ):
            raise damage_error(f"{op} has {bias.size} biases in {net.content.tensors[tensor].type_name}")
    return Parameters(weight, bias.reshape(outputs), None if codes is None else stored.scales)


def _without_zero_point(op: StoredOperator, weight: Array, zero_points: Array) -> Array:
    """Return the weights minus their zero point; refuse the operator if that takes more than 8 bits."""
    if not zero_points.any():
        return weight
    shifted_weight = weight.astype(np.int64) - zero_points
    if shifted_weight.min() < -128 or shifted_weight.max() > 127:
        raise op.refusal("has weights with a zero point, which take nine bits without it", FULL_INTEGER)
    return shifted_weight.astype(np.int8)


def _key(op: StoredOperator, places: tuple[int, ...], extra: object = None) -> tuple[object, ...]:
    return (op.code, *(op.inputs[place] if place < len(op.inputs) else -1 for place in places), extra)


def _read_conv(net: Network, op: StoredOperator) -> None:
    depthwise = op.code == Code.DEPTHWISE_CONV_2D
    options = op.options(schema.DepthwiseConv2DOptionsT if depthwise else schema.Conv2DOptionsT)
    source = net.input(op, 0)
    name = net.read_image(op, source)
    _, height, width, channels = net.shapes[source]
    params = parameters(net, op, source, (1, 2), 3 if depthwise else 0)
    if params.weight.ndim != 4 or (depthwise and params.weight.shape[0] != 1):
        raise damage_error(f"{op} has weights of {params.weight.shape}")
    weight = params.weight.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    groups, rest = (channels, 0) if depthwise else divmod(channels, weight.shape[1])
    if rest or not groups or len(weight) % groups:
        raise damage_error(f"{op} has weights of {params.weight.shape} for {channels} channels")
    stride, dilation = (
        sizes(op, options.strideH, options.strideW),
        sizes(op, options.dilationHFactor, options.dilationWFactor),
    )
    kernel = (weight.shape[2], weight.shape[3])
    padding = explicit_padding(op, options.padding, (height, width), kernel, stride, dilation)
    top, bottom, left, right = padding
    out = (
        output_length(height, kernel[0], stride[0], top, bottom, dilation[0]),
        output_length(width, kernel[1], stride[1], left, right, dilation[1]),
    )
    net.output_shape(op, (1, *out, len(weight)))
    conv = Conv2d(
        "", (name,), "", np.ascontiguousarray(weight), params.bias, stride, padding, dilation, groups,
        weight_scale=params.scale, activation=net.activation(op, options.fusedActivationFunction),
    )  # fmt: skip
    net.emit_weighted(op, conv, IMAGE, _key(op, (1, 2)))


def _read_transposed_conv(net: Network, op: StoredOperator) -> None:
    """Read a TRANSPOSE_CONV, whose first input is the output's shape; SAME crops the odd row or column at the end."""
    options = op.options(schema.TransposeConvOptionsT)
    shape, source = net.constant(op, 0, "an output's shape").ravel(), net.input(op, 2)
    name = net.read_image(op, source)
    _, *size, channels = net.shapes[source]
    params = parameters(net, op, source, (1, 3), 0)
    if params.weight.ndim != 4 or params.weight.shape[3] != channels or len(shape) != 4:
        raise damage_error(f"{op} has weights of {params.weight.shape} for {channels} channels")
    weight = np.ascontiguousarray(params.weight.transpose(0, 3, 1, 2))
    stride = sizes(op, options.strideH, options.strideW)
    out = net.output_shape(op, (1, int(shape[1]), int(shape[2]), len(weight)))[1:3]
    axes = zip(size, out, weight.shape[2:], stride, strict=True)
    (top, more_below), (left, more_right) = (_crop(op, options.padding, *axis) for axis in axes)
    conv = ConvTranspose2d(
        "", (name,), "", weight, params.bias, stride, (top, left), (more_below, more_right),
        weight_scale=params.scale, activation=net.activation(op, options.fusedActivationFunction),
    )  # fmt: skip
    net.emit_weighted(op, conv, IMAGE, _key(op, (1, 3)))


def _crop(op: StoredOperator, padding: int, size: int, out: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many positions of one axis to crop at the start, and how many more to compute at the end."""
    full = (size - 1) * stride + kernel
    if padding == schema.Padding.VALID and full <= out < full + stride:
        return 0, out - full
    if padding == schema.Padding.SAME and -(-out // stride) == size:
        before, _ = same_padding(out, kernel, stride)
        return before, 2 * before + out - full
    raise op.refusal(f"makes {out} positions of {size}", "an output of the input's size times the stride")


def _read_fully_connected(net: Network, op: StoredOperator) -> None:
    """Read a FULLY_CONNECTED; for a flattened image the weights are reordered instead of the pixels."""
    options = op.options(schema.FullyConnectedOptionsT)
    if options.weightsFormat != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise op.refusal("has shuffled weights", FULL_INTEGER)
    source = net.input(op, 0)
    params = parameters(net, op, source, (1, 2), 0)
    if params.weight.ndim != 2:
        raise damage_error(f"{op} has weights of {params.weight.shape}")
    shape, width = net.shapes[source], params.weight.shape[1]
    elements = int(np.prod(shape))
    if options.keepNumDims:
        if not shape or shape[-1] != width:
            raise damage_error(f"{op} has weights of {params.weight.shape} for an input of {shape}")
        out = (*shape[:-1], len(params.weight))
    elif elements % width:
        raise damage_error(f"{op} has weights of {params.weight.shape} for an input of {shape}")
    else:
        out = (elements // width, len(params.weight))
    rows = elements // width
    net.output_shape(op, out)
    name, order = _read_rows(net, op, source, rows, width, options.keepNumDims)
    weight = params.weight if order is None else np.ascontiguousarray(params.weight[:, order])
    linear = Linear(
        "", (name,), "", weight, params.bias, weight_scale=params.scale,
        activation=net.activation(op, options.fusedActivationFunction),
    )  # fmt: skip
    axes = net.file_axes(op.outputs[0])
    net.emit_weighted(op, linear, axes, _key(op, (1, 2), None if order is None else order.tobytes()))


def _read_rows(
    net: Network, op: StoredOperator, source: int, rows: int, width: int, keep_axes: bool
) -> tuple[str, Array | None]:
    """Return the graph's tensor of the input, and the order of its values if that is not the file's.

    The tensor has the shape (width,) or (rows, width), or the input's own shape with `keep_axes`.
    """
    origin = net.pending_reshapes.get(source, source)
    if rows == 1 and not keep_axes and (flat_image := _flatten_image(net, op, origin, width)) is not None:
        return flat_image
    name, shape = net.read_file_order(source), net.shapes[source]
    leading = shape[:-1] if shape[0] > 1 else shape[1:-1]
    if keep_axes or (shape[-1] == width and leading == ((rows,) if rows > 1 else ())):
        return name, None
    target = (rows, width) if rows > 1 else (width,)
    return net.reshape(name, f"{op.output_name}/rows", target, source), None


def _flatten_image(net: Network, op: StoredOperator, origin: int, width: int) -> tuple[str, Array] | None:
    """Return an image flattened in the graph's axis order, and the position of each value in the file's order."""
    if origin in net.values or origin not in net.forms:
        return None
    form, shape = net.forms[origin][0], net.shapes[origin]
    axes = [axis for axis in form.axes if axis is not None and shape[axis] > 1]
    if axes == sorted(axes):
        return None
    order = np.arange(width).reshape([shape[axis] for axis in sorted(axes)])
    order = order.transpose([sorted(axes).index(axis) for axis in axes]).ravel()
    return net.reshape(form.name, f"{op.output_name}/flat", (width,), origin), order


READERS: dict[int, Reader] = {
    Code.CONV_2D: _read_conv,
    Code.DEPTHWISE_CONV_2D: _read_conv,
    Code.TRANSPOSE_CONV: _read_transposed_conv,
    Code.FULLY_CONNECTED: _read_fully_connected,
}
