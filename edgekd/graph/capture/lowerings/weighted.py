"""Lowerings of convolutions, linear layers and batch norm; a one-axis convolution becomes one on images of height 1."""

from typing import Any

import numpy as np
from torch import fx

from edgekd.graph.capture.affine import BatchNorm
from edgekd.graph.capture.lowerings.frames import as_image, emit_on_image, pair_of
from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments
from edgekd.graph.ops import Conv2d, ConvTranspose2d, Linear, Reshape
from edgekd.graph.structure import Array


def _lower_conv(reader: Reader, node: fx.Node) -> None:
    x, w, b, stride, padding, dilation, groups = arguments(
        node, "input", "weight", "bias", "stride", "padding", "dilation", "groups"
    )
    weight, bias = _weight_and_bias(reader, w, b)
    one_axis = weight.ndim == 3
    weight = weight[:, :, None] if one_axis else weight
    stride, dilation = pair_of(stride, 1, one_axis), pair_of(dilation, 1, one_axis)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        around = (totals[0] // 2, totals[0] - totals[0] // 2, totals[1] // 2, totals[1] - totals[1] // 2)
    else:
        vertical, horizontal = (0, 0) if padding == "valid" else pair_of(padding, 0, one_axis)
        around = (vertical, vertical, horizontal, horizontal)
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    fields = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups}
    image = as_image(reader, node, x) if one_axis else reader.name(x)
    emit_on_image(reader, node, Conv2d, image, one_axis, weight=weight, bias=bias, **fields)


def _lower_conv_transpose(reader: Reader, node: fx.Node) -> None:
    x, w, b, stride, padding, extra, groups, dilation = arguments(
        node, "input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"
    )
    torch_weight, bias = _weight_and_bias(reader, w, b)
    one_axis = torch_weight.ndim == 3
    torch_weight = torch_weight[:, :, None] if one_axis else torch_weight
    if pair_of(dilation, 1, one_axis) != (1, 1):
        raise Unsupported("it is transposed and dilated")
    inputs, outputs, *kernel = torch_weight.shape  # outputs of one group
    weight = torch_weight.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    weight = np.ascontiguousarray(weight.reshape(groups * outputs, inputs // groups, *kernel))
    stride, padding, extra = pair_of(stride, 1, one_axis), pair_of(padding, 0, one_axis), pair_of(extra, 0, one_axis)
    if any(p >= k for p, k in zip(padding, kernel, strict=True)):
        raise Unsupported(f"its padding {padding} cuts off whole input values")
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    fields = {"stride": stride, "padding": padding, "output_padding": extra, "groups": groups}
    image = as_image(reader, node, x) if one_axis else reader.name(x)
    emit_on_image(reader, node, ConvTranspose2d, image, one_axis, weight=weight, bias=bias, **fields)


def _weight_and_bias(reader: Reader, weight: Any, bias: Any) -> tuple[Array, Array | None]:
    values = reader.value(weight)
    assert values is not None
    return values, reader.value(bias)


def _lower_linear(reader: Reader, node: fx.Node) -> None:
    """Lower a linear layer; where it has more than two axes beside the batch, all but the last are joined."""
    x, w, b = arguments(node, "input", "weight", "bias")
    weight, bias = _weight_and_bias(reader, w, b)
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    source, shape = reader.name(x), reader.shape(x)
    if len(shape) < 3:
        reader.emit(node, Linear, (source,), weight=weight, bias=bias)
        return
    path, rows = reader.path(node), int(np.prod(shape[:-1]))
    flat = reader.emit(node, Reshape, (source,), shape=(rows, shape[-1]), name=f"{path}/rows")
    product = reader.emit(node, Linear, (flat,), shape=(rows, len(weight)), weight=weight, bias=bias)
    reader.emit(node, Reshape, (product,), name=f"{path}/shaped")


def _lower_batch_norm(reader: Reader, node: fx.Node) -> None:
    x, w, b, m, v, training, eps = arguments(
        node, "input", "weight", "bias", "running_mean", "running_var", "training", "eps"
    )
    mean, variance = reader.value(m), reader.value(v)
    if training or mean is None or variance is None:
        raise Unsupported("it has no running statistics")
    weight, bias = reader.value(w), reader.value(b)
    scale = (1 / np.sqrt(variance.astype(np.float64) + eps)) * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * scale
    reader.emit(node, BatchNorm, (reader.name(x),), scale=scale, shift=shift)


LOWERINGS: dict[str, Lowering] = {
    "conv1d": _lower_conv,
    "conv2d": _lower_conv,
    "conv_transpose1d": _lower_conv_transpose,
    "conv_transpose2d": _lower_conv_transpose,
    "linear": _lower_linear,
    "batch_norm": _lower_batch_norm,
}
