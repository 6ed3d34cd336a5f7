"""The ONNX forms of means and maxima."""

import math

import numpy as np

from edgekd.formats.onnx.model import OnnxFile, Writer
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean, Pool2d
from edgekd.graph.structure import Operator


def _write_global_average_pool(file: OnnxFile, op: GlobalAveragePool) -> None:
    value = file.result(op, "GlobalAveragePool", [file.values(op.inputs[0], op)], output=f"{op.output}/mean")
    file.node("Flatten", [value], op.output, axis=1)


def _write_mean(file: OnnxFile, op: Mean) -> None:
    """Write a global pool, which has an integer kernel: the averaged axes become the image, the others channels."""
    shape = file.graph.tensors[op.inputs[0]].shape
    channel_axes = [axis for axis in range(len(shape)) if axis not in op.axes]
    order = [0, *(axis + 1 for axis in (*channel_axes, *op.axes))]
    codes = file.node("Transpose", [op.inputs[0]], f"{op.output}/aligned", perm=order)
    image = (-1, math.prod(shape[axis] for axis in channel_axes), math.prod(shape[axis] for axis in op.axes), 1)
    codes = file.node(
        "Reshape", [codes, file.constant(f"{op.name}/image shape", np.array(image, np.int64))], f"{op.output}/image"
    )
    inputs = [file.values(op.inputs[0], op, codes)]
    value = file.result(op, "GlobalAveragePool", inputs, output=f"{op.output}/mean")
    output_shape = np.array((-1, *(shape[axis] for axis in channel_axes)), np.int64)
    file.node("Reshape", [value, file.constant(f"{op.name}/shape", output_shape)], op.output)


def _pads(op: Pool2d) -> tuple[int, int, int, int]:
    top, bottom, left, right = op.padding
    return (top, left, bottom, right)


def _write_max_pool2d(file: OnnxFile, op: MaxPool2d) -> None:
    file.node("MaxPool", op.inputs, op.output, kernel_shape=op.kernel, strides=op.stride, pads=_pads(op))


def _write_average_pool2d(file: OnnxFile, op: AveragePool2d) -> None:
    inputs = [file.values(op.inputs[0], op)]
    file.result(op, "AveragePool", inputs, kernel_shape=op.kernel, strides=op.stride, pads=_pads(op))


WRITERS: dict[type[Operator], Writer] = {
    GlobalAveragePool: _write_global_average_pool,
    Mean: _write_mean,
    MaxPool2d: _write_max_pool2d,
    AveragePool2d: _write_average_pool2d,
}
