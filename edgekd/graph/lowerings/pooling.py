"""Means and maxima."""

from typing import Any

from torch import fx

from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Reshape
from edgekd.graph.reader import Lowering, Reader, Unsupported, arguments, pair


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


LOWERINGS: dict[str, Lowering] = {
    "adaptive_avg_pool2d": _lower_adaptive_pool,
    "avg_pool2d": _lower_average_pool,
    "max_pool2d": _lower_max_pool,
    "mean": _lower_mean,
}
