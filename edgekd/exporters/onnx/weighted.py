"""Convolutions and linear layers."""

from edgekd.exporters.onnx.model import OnnxFile, Writer
from edgekd.graph.ops import Conv2d, Linear
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


def _write_linear(file: OnnxFile, op: Linear) -> None:
    file.result(op, "Gemm", [file.values(op.inputs[0], op), *file.weights(op)], transB=1)


WRITERS: dict[type[Operator], Writer] = {
    Conv2d: _write_conv2d,
    Linear: _write_linear,
}
