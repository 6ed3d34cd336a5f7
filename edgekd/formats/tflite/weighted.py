"""The TFLite forms of convolutions and linear layers."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.layout import IMAGE
from edgekd.formats.tflite.flatbuffer import ACTIVATIONS, Code, FlatbufferFile, Writer
from edgekd.formats.tflite.windows import cut, pad_input
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear
from edgekd.graph.structure import Array, Operator

GROUPED_VERSION = 6
"""The first version of CONV_2D whose filters may see a group of the channels."""


def _write_conv2d(file: FlatbufferFile, op: Conv2d) -> None:
    source, padding = pad_input(file, op)
    channels, version = file.graph.tensors[op.inputs[0]].shape[0], file.version(op, 3)
    if op.depthwise:
        options, code = schema.DepthwiseConv2DOptionsT(), Code.DEPTHWISE_CONV_2D
        options.depthMultiplier = len(op.weight) // channels
        weights = file.weights(op, op.weight.transpose(1, 2, 3, 0), channel_axis=3)
    else:
        options, code = schema.Conv2DOptionsT(), Code.CONV_2D
        weights = file.weights(op, op.weight.transpose(0, 2, 3, 1), channel_axis=0)
        version = GROUPED_VERSION if op.groups > 1 else version
    options.padding, options.fusedActivationFunction = padding, ACTIVATIONS[op.activation]
    options.strideH, options.strideW = op.stride
    options.dilationHFactor, options.dilationWFactor = op.dilation
    file.operator(code, version, [source, *weights], file.output(op), options)


def _write_conv_transpose2d(file: FlatbufferFile, op: ConvTranspose2d) -> None:
    """Write a TRANSPOSE_CONV, with a slice after it where TFLite has no name for the padding."""
    _, height, width = file.graph.tensors[op.inputs[0]].shape
    channels, *size = file.graph.tensors[op.output].shape
    (source,) = file.inputs(op, IMAGE)
    padding = op.tflite_padding((height, width))
    full = size
    if padding is None:
        full = [*op.uncut_size((height, width), (size[0], size[1]))]
        output = file.activation(file.graph.tensors[op.output], f"{op.name}/full", (*full, channels))
    else:
        output = file.output(op)
    options = schema.TransposeConvOptionsT()
    options.padding = getattr(schema.Padding, padding or "VALID")
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    options.strideH, options.strideW = op.stride
    shape = file.constant(f"{op.name}/shape", np.array((1, *full, channels), np.int32))
    weight, bias = file.weights(op, _dense(op).transpose(0, 2, 3, 1), channel_axis=0)
    version = 3 if op.activation == "none" else 4
    file.operator(Code.TRANSPOSE_CONV, version, [shape, weight, source, bias], output, options)
    if padding is None:
        cut(file, op, output, op.padding, (size[0], size[1]))


def _dense(op: ConvTranspose2d) -> Array:
    """The weight with zeros for the channels of other groups, since TRANSPOSE_CONV has no groups."""
    outputs, inputs, *kernel = op.weight.shape
    dense = np.zeros((op.groups, outputs // op.groups, op.groups, inputs, *kernel), op.weight.dtype)
    for group, weight in enumerate(op.weight.reshape(op.groups, -1, inputs, *kernel)):
        dense[group, :, group] = weight
    return dense.reshape(outputs, op.groups * inputs, *kernel)


def _write_linear(file: FlatbufferFile, op: Linear) -> None:
    source, leading, order = file.rows(op.inputs[0])  # a flattened image is stored channels last
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    options.keepNumDims = bool(leading.sizes)
    inputs = [source, *file.weights(op, op.weight[:, order], channel_axis=0)]
    rows = leading.append_axis(len(op.weight))
    output = file.declare(op.output, rows, rows.row_shape)
    file.operator(Code.FULLY_CONNECTED, file.version(op, 5), inputs, output, options)


WRITERS: dict[type[Operator], Writer] = {
    Conv2d: _write_conv2d,
    ConvTranspose2d: _write_conv_transpose2d,
    Linear: _write_linear,
}
