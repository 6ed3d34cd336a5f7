"""Convolutions, linear layers and batch norm."""

import numpy as np
from torch import fx

from edgekd.graph.ops import Conv2d, Linear
from edgekd.graph.reader import Lowering, Reader, Unsupported, arguments, pair
from edgekd.graph.simplify import BatchNorm


def _lower_conv2d(reader: Reader, node: fx.Node) -> None:
    x, w, b, stride, padding, dilation, groups = arguments(
        node, "input", "weight", "bias", "stride", "padding", "dilation", "groups"
    )
    weight, bias = reader.value(w), reader.value(b)
    assert weight is not None
    dilation, stride = pair(dilation), pair(stride)
    if padding == "valid":
        padding = 0
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        around = (totals[0] // 2, totals[0] - totals[0] // 2, totals[1] // 2, totals[1] - totals[1] // 2)
    else:
        vertical, horizontal = pair(padding)
        around = (vertical, vertical, horizontal, horizontal)
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    fields = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups}
    reader.emit(node, Conv2d, (reader.name(x),), weight=weight, bias=bias, **fields)


def _lower_linear(reader: Reader, node: fx.Node) -> None:
    x, w, b = arguments(node, "input", "weight", "bias")
    weight, bias = reader.value(w), reader.value(b)
    assert weight is not None
    if len(reader.shape(x)) != 1:
        raise Unsupported("its input has more than one axis beside the batch")
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    reader.emit(node, Linear, (reader.name(x),), weight=weight, bias=bias)


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
    "conv2d": _lower_conv2d,
    "linear": _lower_linear,
    "batch_norm": _lower_batch_norm,
}
