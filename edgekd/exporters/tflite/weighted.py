"""Convolutions and linear layers."""

from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.exporters.tflite.flatbuffer import ACTIVATIONS, Code, FlatbufferFile, Writer
from edgekd.graph.ops import Conv2d, Linear
from edgekd.graph.structure import Operator


def _write_conv2d(file: FlatbufferFile, op: Conv2d) -> None:
    source, padding = file.padded_input(op)
    channels = file.graph.tensors[op.inputs[0]].shape[0]
    if op.groups not in (1, channels):
        raise UnsupportedOperatorError(
            f"layer {op.name} (conv2d, {op.source}): grouped convolutions ({op.groups} groups of {channels} channels) "
            "have no int8 kernel here",
            "groups = 1, or as many groups as channels (depthwise)",
        )
    if op.depthwise:
        options, code = schema.DepthwiseConv2DOptionsT(), Code.DEPTHWISE_CONV_2D
        options.depthMultiplier = len(op.weight) // channels
        weights = file.weights(op, op.weight.transpose(1, 2, 3, 0), channel_axis=3)
    else:
        options, code = schema.Conv2DOptionsT(), Code.CONV_2D
        weights = file.weights(op, op.weight.transpose(0, 2, 3, 1), channel_axis=0)
    options.padding, options.fusedActivationFunction = padding, ACTIVATIONS[op.activation]
    options.strideH, options.strideW = op.stride
    options.dilationHFactor, options.dilationWFactor = op.dilation
    file.operator(code, file.version(op, 3), [source, *weights], file.output(op), options)


def _write_linear(file: FlatbufferFile, op: Linear) -> None:
    weight = op.weight
    if op.inputs[0] in file.permuted:  # flattened channel-last, where torch flattens channel-first
        made_by = next(o for o in file.graph.operators if o.output == op.inputs[0])
        channels, height, width = file.graph.tensors[made_by.inputs[0]].shape
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    inputs = [*file.inputs(op), *file.weights(op, weight, channel_axis=0)]
    file.operator(Code.FULLY_CONNECTED, file.version(op, 5), inputs, file.output(op), options)


WRITERS: dict[type[Operator], Writer] = {
    Conv2d: _write_conv2d,
    Linear: _write_linear,
}
