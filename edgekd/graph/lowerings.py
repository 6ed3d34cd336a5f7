"""How each of torch's operators is written as operators of the graph: one function each, and the table of them."""

from typing import Any

import numpy as np
from torch import fx

from edgekd.graph.ops import Add, AveragePool2d, Conv2d, GlobalAveragePool, Linear, MaxPool2d, Pad, Relu, Reshape, Slice
from edgekd.graph.reader import BATCH, Lowering, Reader, Unsupported, arguments, kind_of, pair
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


def _lower_add(reader: Reader, node: fx.Node) -> None:
    x, y, alpha = arguments(node, "self", "other", "alpha")
    a, b = reader.name(x), reader.name(y)
    if alpha not in (None, 1):
        raise Unsupported("its second operand is scaled (alpha)")
    if reader.tensors[a].shape != reader.tensors[b].shape:
        raise Unsupported("its operands differ in shape")
    reader.emit(node, Add, (a, b))


def _lower_relu(reader: Reader, node: fx.Node) -> None:
    reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu")


def _lower_relu6(reader: Reader, node: fx.Node) -> None:
    if kind_of(node) in ("hardtanh", "clamp"):
        low, high = arguments(node, *(("min_val", "max_val") if kind_of(node) == "hardtanh" else ("min", "max")))
        if (low, high) != (0, 6):
            raise Unsupported(f"it clamps to [{low}, {high}]; [0, 6] is supported")
    reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu6")


def _pool_over(reader: Reader, node: fx.Node, x: Any, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
    """An average over windows; one window over everything is a global one."""
    shape = reader.shape(x)
    if kernel != shape[1:]:
        reader.emit(node, AveragePool2d, (reader.name(x),), kernel=kernel, stride=stride)
        return
    pooled = reader.emit(node, GlobalAveragePool, (reader.name(x),), shape=shape[:1])
    reader.emit(node, Reshape, (pooled,))


def _lower_adaptive_pool(reader: Reader, node: fx.Node) -> None:
    x, size = arguments(node, "self", "output_size")
    height, width = reader.shape(x)[1:]
    out_h, out_w = pair(size)
    if height % out_h or width % out_w:
        raise Unsupported(f"{height} x {width} does not divide into {out_h} x {out_w} equal windows")
    window = (height // out_h, width // out_w)
    _pool_over(reader, node, x, window, window)


def _lower_average_pool(reader: Reader, node: fx.Node) -> None:
    x, kernel, stride, padding, ceil = arguments(node, "self", "kernel_size", "stride", "padding", "ceil_mode")
    if any(pair(padding)) or ceil:
        raise Unsupported("padding and ceil_mode are not supported in average pools")
    _pool_over(reader, node, x, pair(kernel), pair(stride or kernel))


def _lower_max_pool(reader: Reader, node: fx.Node) -> None:
    x, kernel, stride, padding, dilation, ceil = arguments(
        node, "self", "kernel_size", "stride", "padding", "dilation", "ceil_mode"
    )
    if ceil or pair(dilation) != (1, 1):
        raise Unsupported("dilation and ceil_mode are not supported in max pools")
    vertical, horizontal = pair(padding)
    around = (vertical, vertical, horizontal, horizontal)
    fields = {"kernel": pair(kernel), "stride": pair(stride or kernel), "padding": around}
    reader.emit(node, MaxPool2d, (reader.name(x),), **fields)


def _lower_mean(reader: Reader, node: fx.Node) -> None:
    x, axes = arguments(node, "self", "dim")
    rank = len(reader.shape(x)) + 1
    if rank != 4 or {axis % rank for axis in axes or ()} != {2, 3}:
        raise Unsupported("only the mean over height and width is supported")
    pooled = reader.emit(node, GlobalAveragePool, (reader.name(x),), shape=reader.shape(x)[:1])
    reader.emit(node, Reshape, (pooled,))


def _lower_reshape(reader: Reader, node: fx.Node) -> None:
    reader.emit(node, Reshape, (reader.name(node.args[0]),))


def _lower_slice(reader: Reader, node: fx.Node) -> None:
    x, axis, begin, end, step = arguments(node, "self", "dim", "start", "end", "step")
    shape = reader.shape(x)
    axis = axis % (len(shape) + 1) - 1
    size = (BATCH, *shape)[axis + 1]
    begin, end, step = slice(begin, end, step).indices(size)
    if (begin, end, step) == (0, size, 1):
        reader.same(node, x)
        return
    if axis < 0:
        raise Unsupported("it slices the batch")
    ranges = [(0, n, 1) for n in shape]
    ranges[axis] = (begin, end, step)
    reader.emit(node, Slice, (reader.name(x),), ranges=tuple(ranges))


def _lower_pad(reader: Reader, node: fx.Node) -> None:
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]
    x, amounts, value = arguments(node, "self", "pad", "value")
    mode = arguments(node, "mode")[0] if "mode" in names else "constant"
    rank = len(reader.shape(x))
    if mode != "constant" or value not in (None, 0) or min(amounts) < 0 or len(amounts) > 2 * rank:
        raise Unsupported("only padding with zeros is supported")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs += [(0, 0)] * (rank - len(pairs))
    reader.emit(node, Pad, (reader.name(x),), amounts=tuple(reversed(pairs)))


def _lower_identity(reader: Reader, node: fx.Node) -> None:
    reader.same(node, node.args[0])


LOWERINGS: dict[str, Lowering] = {
    "conv2d": _lower_conv2d,
    "linear": _lower_linear,
    "batch_norm": _lower_batch_norm,
    "add": _lower_add,
    "relu": _lower_relu,
    "relu6": _lower_relu6,
    "hardtanh": _lower_relu6,
    "clamp": _lower_relu6,
    "adaptive_avg_pool2d": _lower_adaptive_pool,
    "avg_pool2d": _lower_average_pool,
    "max_pool2d": _lower_max_pool,
    "mean": _lower_mean,
    "flatten": _lower_reshape,
    "view": _lower_reshape,
    "reshape": _lower_reshape,
    "squeeze": _lower_reshape,
    "unsqueeze": _lower_reshape,
    "slice": _lower_slice,
    "pad": _lower_pad,
    "constant_pad_nd": _lower_pad,
    "dropout": _lower_identity,
    "feature_dropout": _lower_identity,
    "contiguous": _lower_identity,
    "clone": _lower_identity,
    "alias": _lower_identity,
    "detach": _lower_identity,
    "to": _lower_identity,
}

COMPUTING = tuple(sorted(name for name, lower in LOWERINGS.items() if lower is not _lower_identity))
"""Torch's operators that have a form in the graph, those aside that leave values as they are."""
