"""The ONNX forms of convolutions and linear layers."""

import numpy as np

from edgekd.formats.onnx.model import OnnxFile, Writer
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear
from edgekd.graph.structure import Operator


def _write_conv2d(file: OnnxFile, op: Conv2d) -> None:
    top, bottom, left, right = op.padding
    file.result(
        op,
        "Conv",
        [file.values(op.inputs[0], op), *file.weights(op)],
        kernel_shape=op.weight.shape[2:],
        strides=op.stride,
        pads=(top, left, bottom, right),
        dilations=op.dilation,
        group=op.groups,
    )


def _write_conv_transpose2d(file: OnnxFile, op: ConvTranspose2d) -> None:
    """Write a sub-pixel convolution (Shi et al., 2016): onnxruntime has no integer kernel for ConvTranspose.

    The result at `i * stride + phase` depends on input `i` and its neighbours by the taps that lie `stride` apart. So
    the taps of each phase are a filter with an output channel of its own, and the phases are interleaved afterwards.
    """
    _, height, width = file.graph.tensors[op.inputs[0]].shape
    channels, *size = file.graph.tensors[op.output].shape
    taps = [-(-k // s) for k, s in zip(op.weight.shape[2:], op.stride, strict=True)]
    first = [p // s for p, s in zip(op.padding, op.stride, strict=True)]
    end = [-(-(p + n) // s) for p, n, s in zip(op.padding, size, op.stride, strict=True)]
    phases = op.stride[0] * op.stride[1]
    before = [t - 1 - f for t, f in zip(taps, first, strict=True)]
    after = [e - n for e, n in zip(end, (height, width), strict=True)]
    weights = file.weights(_by_phase(op, (taps[0], taps[1]), phases))
    value = file.result(
        op,
        "Conv",
        [file.values(op.inputs[0], op), *weights],
        output=f"{op.output}/phases" if phases > 1 else op.output,
        kernel_shape=taps,
        pads=(*before, *after),
        group=op.groups,
    )
    if phases == 1:
        return
    steps = [e - f for e, f in zip(end, first, strict=True)]
    phase_shape = file.constant(f"{op.name}/apart shape", np.array((-1, channels, *op.stride, *steps), np.int64))
    value = file.node("Reshape", [value, phase_shape], f"{op.output}/apart")
    value = file.node("Transpose", [value], f"{op.output}/aligned", perm=(0, 1, 4, 2, 5, 3))
    image_size = [n * s for n, s in zip(steps, op.stride, strict=True)]
    image_shape = file.constant(f"{op.name}/joined shape", np.array((-1, channels, *image_size), np.int64))
    begin = [p - f * s for p, f, s in zip(op.padding, first, op.stride, strict=True)]
    if begin == [0, 0] and image_size == size:
        file.node("Reshape", [value, image_shape], op.output)
        return
    value = file.node("Reshape", [value, image_shape], f"{op.output}/whole")
    cut = {"begin": begin, "end": [b + n for b, n in zip(begin, size, strict=True)], "axes": [2, 3]}
    names = [file.constant(f"{op.name}/{name}", np.array(values, np.int64)) for name, values in cut.items()]
    file.node("Slice", [value, *names], op.output)


def _by_phase(op: ConvTranspose2d, taps: tuple[int, int], phases: int) -> Conv2d:
    """The convolution whose output channels are (channel, vertical phase, horizontal phase)."""
    outputs, inputs, kernel_h, kernel_w = op.weight.shape
    (taps_h, taps_w), (stride_h, stride_w) = taps, op.stride
    padded_weight = np.zeros((outputs, inputs, taps_h * stride_h, taps_w * stride_w), op.weight.dtype)
    padded_weight[:, :, :kernel_h, :kernel_w] = op.weight
    phases_by_axis = padded_weight.reshape(outputs, inputs, taps_h, stride_h, taps_w, stride_w)[:, :, ::-1, :, ::-1]
    weight = phases_by_axis.transpose(0, 3, 5, 1, 2, 4).reshape(outputs * phases, inputs, taps_h, taps_w)
    scale = None if op.weight_scale is None else np.repeat(np.broadcast_to(op.weight_scale, outputs), phases)
    bias = np.repeat(op.bias, phases)
    return Conv2d(op.name, op.inputs, op.output, weight, bias, weight_scale=scale, groups=op.groups)


def _write_linear(file: OnnxFile, op: Linear) -> None:
    """Write a Gemm, for which several rows of a sample become rows of the batch."""
    shape = file.graph.tensors[op.output].shape
    if len(shape) == 1:
        file.result(op, "Gemm", [file.values(op.inputs[0], op), *file.weights(op)], transB=1)
        return
    rows = file.constant(f"{op.name}/rows shape", np.array((-1, op.weight.shape[1]), np.int64))
    codes = file.node("Reshape", [op.inputs[0], rows], f"{op.output}/as matrix")
    inputs = [file.values(op.inputs[0], op, codes), *file.weights(op)]
    matrix = file.result(op, "Gemm", inputs, output=f"{op.output}/of matrix", transB=1)
    file.node("Reshape", [matrix, file.constant(f"{op.name}/shape", np.array((-1, *shape), np.int64))], op.output)


WRITERS: dict[type[Operator], Writer] = {
    Conv2d: _write_conv2d,
    ConvTranspose2d: _write_conv_transpose2d,
    Linear: _write_linear,
}
