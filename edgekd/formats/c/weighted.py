"""Write convolutions and linear layers as calls of C kernels."""

from math import prod

import numpy as np

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.c.arena import Buffer, InPlace, Region
from edgekd.formats.c.functions import Constant, Kernel
from edgekd.formats.c.source import CSource, View, Writer
from edgekd.formats.layout import IMAGE, Layout
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear
from edgekd.graph.structure import Array, Operator, Weighted, activation_range

LARGEST_SUM = 2**31 - 1
"""The largest sum in an accumulator of 32 bits."""


def _write_conv2d(source: CSource, op: Conv2d) -> None:
    channels, height, width = source.shape(op.inputs[0])
    pointwise = op.weight.shape[2:] == (1, 1) and op.stride == (1, 1) and not any(op.padding)
    if pointwise and op.groups == 1:
        image = source.read(op.inputs[0], IMAGE)
        output = source.declare(op.output, Layout.of(source.shape(op.output), IMAGE))
        _write_rows(source, op, image, output, height * width, op.weight[:, :, 0, 0])
    elif op.depthwise:
        _write_depthwise(source, op, channels)
    else:
        _write_windows(source, op, "conv2d")


def _write_conv_transpose2d(source: CSource, op: ConvTranspose2d) -> None:
    _write_windows(source, op, "conv_transpose2d")


def _write_windows(source: CSource, op: Conv2d | ConvTranspose2d, kernel: str) -> None:
    image = source.read(op.inputs[0], IMAGE)
    output = source.declare(op.output, Layout.of(source.shape(op.output), IMAGE))
    constants = _geometry(source, op) | _output_range(source, op)
    constants |= {"GROUPS": op.groups, "GROUP_CHANNELS": op.weight.shape[1]}
    arrays = [source.constants.array("int8_t", op.weight.transpose(0, 2, 3, 1)), _channels(source, op, op.bias)]
    overwriting = None
    if isinstance(op, Conv2d) and (rows := _scratch_rows(op, source.shape(op.inputs[0]), source.shape(op.output))):
        scratch = Region(Buffer(rows * prod(image.layout.sizes[1:])))
        in_place = Kernel("conv2d_in_place", constants | {"KEPT_ROWS": rows})
        overwriting = InPlace(in_place, (image.region, scratch, *arrays))
    source.call(Kernel(kernel, constants), [image], output, arrays, overwriting=overwriting)


def _scratch_rows(op: Conv2d, before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Return the number of input rows to copy to scratch while a convolution overwrites its input; 0 if it can't.

    The stride must be 1, and the output may have neither more rows nor longer rows than the input.
    """
    shorter = after[1] <= before[1] and after[2] * after[0] <= before[2] * before[0]
    return op.padding[0] + 1 if shorter and op.stride[0] == 1 else 0


def _write_depthwise(source: CSource, op: Conv2d, channels: int) -> None:
    """Write a depthwise convolution; it can overwrite its input if it has as many channels and no more bytes."""
    image = source.read(op.inputs[0], IMAGE)
    shape = source.shape(op.output)
    output = source.declare(op.output, Layout.of(shape, IMAGE))
    constants = {
        **_geometry(source, op), **_output_range(source, op),
        "MULTIPLIER": shape[0] // channels, "CHANNELS": channels,
    }  # fmt: skip
    arrays = [source.constants.array("int8_t", op.weight[:, 0].transpose(1, 2, 0)), _channels(source, op, op.bias)]
    overwriting = None
    pixels = shape[1] * shape[2]
    if shape[0] == channels and output.buffer.size <= image.buffer.size:
        kernel = Kernel("depthwise_in_place", constants)
        overwriting = InPlace(kernel, (image.region, Region(Buffer(pixels)), *arrays))
    source.call(Kernel("depthwise", constants), [image], output, arrays, overwriting=overwriting)


def _geometry(source: CSource, op: Conv2d | ConvTranspose2d) -> dict[str, Constant]:
    channels, height, width = source.shape(op.inputs[0])
    outputs, output_height, output_width = source.shape(op.output)
    if isinstance(op, Conv2d):
        (top, _, left, _), dilation = op.padding, op.dilation
    else:
        (top, left), dilation = op.padding, (1, 1)
    return {
        "INPUT_HEIGHT": height, "INPUT_WIDTH": width, "INPUT_CHANNELS": channels,
        "OUTPUT_HEIGHT": output_height, "OUTPUT_WIDTH": output_width, "OUTPUT_CHANNELS": outputs,
        "KERNEL_HEIGHT": op.weight.shape[2], "KERNEL_WIDTH": op.weight.shape[3],
        "STRIDE_Y": op.stride[0], "STRIDE_X": op.stride[1], "PADDING_TOP": top, "PADDING_LEFT": left,
        "DILATION_Y": dilation[0], "DILATION_X": dilation[1],
        "INPUT_ZERO_POINT": source.graph.quantization(op.inputs[0]).zero_point,
    }  # fmt: skip


def _write_linear(source: CSource, op: Linear) -> None:
    rows, leading, order = source.rows(op.inputs[0], any_order=True)  # a flattened image is channels last
    output = source.declare(op.output, leading.append_axis(len(op.weight)))
    count = output.buffer.size // len(op.weight)
    _write_rows(source, op, rows, output, count, op.weight[:, order])


def _write_rows(source: CSource, op: Weighted, rows: View, output: View, count: int, weight: Array) -> None:
    """Write the product of rows and an (outputs, inputs) matrix; in place, row by row, if rows get no longer."""
    outputs, inputs = weight.shape
    zero_point = source.graph.quantization(op.inputs[0]).zero_point
    bias = op.bias.astype(np.int64) - zero_point * weight.astype(np.int64).sum(1)
    constants = {"ROWS": count, "INPUTS": inputs, "OUTPUTS": outputs, **_output_range(source, op)}
    arrays = [source.constants.array("int8_t", weight), _channels(source, op, bias)]
    overwriting = None
    if outputs <= inputs:
        overwriting = InPlace(Kernel("linear_in_place", constants), (rows.region, Region(Buffer(inputs)), *arrays))
    source.call(Kernel("linear", constants), [rows], output, arrays, overwriting=overwriting)


def _output_range(source: CSource, op: Weighted) -> dict[str, Constant]:
    """Return the output's zero point, and the range of codes after the activation."""
    output = source.graph.quantization(op.output)
    low, high = activation_range(op.activation, output, source.rounding.name)
    return {"ZERO_POINT": output.zero_point, "LOWEST": low, "HIGHEST": high}


def _channels(source: CSource, op: Weighted, bias: Array) -> str:
    """Return the name of the array of the channels' constants, and refuse sums that could overflow 32 bits."""
    weight_sum = np.abs(op.weight.astype(np.int64)).reshape(len(op.weight), -1).sum(1)
    if (np.abs(bias.astype(np.int64)) + 255 * weight_sum > LARGEST_SUM).any():
        raise UnsupportedOperatorError(
            f"layer {op.name} ({type(op).__name__}, {op.source}) has sums of more than 32 bits, beyond C's kernels",
            'export.formats = ["tflite"]',
        )
    before, after = (source.graph.quantization(name) for name in (op.inputs[0], op.output))
    return source.channels(source.rounding.channels(op, before, after, bias))


WRITERS: dict[type[Operator], Writer] = {
    Conv2d: _write_conv2d,
    ConvTranspose2d: _write_conv_transpose2d,
    Linear: _write_linear,
}
