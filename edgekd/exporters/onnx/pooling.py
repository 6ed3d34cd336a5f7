"""Means and maxima."""

from edgekd.exporters.onnx.model import OnnxFile, Writer
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d
from edgekd.graph.structure import Operator


def _write_global_average_pool(file: OnnxFile, op: GlobalAveragePool) -> None:
    value = file.node("GlobalAveragePool", [file.values(op.inputs[0], op)], f"{op.output}/mean")
    if file.graph.tensors[op.output].quantization is not None:
        value = file.node("QuantizeLinear", [value, *file.parameters(op.output)], f"{op.output}/codes")
    file.node("Flatten", [value], op.output, axis=1)


def _write_max_pool2d(file: OnnxFile, op: MaxPool2d) -> None:
    top, bottom, left, right = op.padding
    pads = (top, left, bottom, right)
    file.node("MaxPool", op.inputs, op.output, kernel_shape=op.kernel, strides=op.stride, pads=pads)


def _write_average_pool2d(file: OnnxFile, op: AveragePool2d) -> None:
    inputs = [file.values(op.inputs[0], op)]
    file.result(op, "AveragePool", inputs, kernel_shape=op.kernel, strides=op.stride)


WRITERS: dict[type[Operator], Writer] = {
    GlobalAveragePool: _write_global_average_pool,
    MaxPool2d: _write_max_pool2d,
    AveragePool2d: _write_average_pool2d,
}
