"""Lowerings of means and maxima; a pool over one axis becomes one over images of height 1."""

from torch import fx

from edgekd.graph.capture.lowerings.frames import as_image, emit_on_image, pair_of
from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean, Pad, Reshape
from edgekd.graph.windows import Padding, Pair


def _average(reader: Reader, node: fx.Node, image: str, kernel: Pair, stride: Pair, padding: Padding) -> None:
    """Emit an average over windows; one window over everything becomes a global average."""
    shape, one_axis = reader.tensors[image].shape, len(node.meta["val"].shape) == 3
    if kernel != shape[1:] or any(padding):
        fields = {"kernel": kernel, "stride": stride, "padding": padding}
        emit_on_image(reader, node, AveragePool2d, image, one_axis, **fields)
        return
    mean = reader.emit(node, GlobalAveragePool, (image,), shape=shape[:1])
    reader.emit(node, Reshape, (mean,), name=f"{reader.path(node)}/shaped")


def _lower_adaptive_pool(reader: Reader, node: fx.Node) -> None:
    x, _ = arguments(node, "self", "output_size")
    size, output_size = reader.shape(x)[1:], tuple(int(n) for n in node.meta["val"].shape[2:])
    if any(n % parts for n, parts in zip(size, output_size, strict=True)):
        raise Unsupported(f"{_times(size)} does not divide into {_times(output_size)} equal windows")
    image = as_image(reader, node, x) if len(size) == 1 else reader.name(x)
    window = (1,) * (2 - len(size)) + tuple(n // parts for n, parts in zip(size, output_size, strict=True))
    _average(reader, node, image, (window[0], window[1]), (window[0], window[1]), (0, 0, 0, 0))


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _lower_average_pool(reader: Reader, node: fx.Node) -> None:
    """Lower an average pool; cells of its padding count if torch says so, those that `ceil_mode` adds never do."""
    x, kernel, stride, padding, count_padding = arguments(
        node, "self", "kernel_size", "stride", "padding", "count_include_pad"
    )
    if "divisor_override" in [a.name for a in node.target._schema.arguments]:  # type: ignore[union-attr]
        (divisor,) = arguments(node, "divisor_override")
        if divisor is not None:
            raise Unsupported("it divides by a number of its own")
    one_axis = len(reader.shape(x)) == 2
    kernel, stride = pair_of(kernel, 1, one_axis), pair_of(stride or kernel, 1, one_axis)
    vertical, horizontal = pair_of(padding, 0, one_axis)
    image = as_image(reader, node, x) if one_axis else reader.name(x)
    if count_padding and (vertical or horizontal):
        image = _emit_pad(reader, node, image, vertical, horizontal)
        vertical = horizontal = 0
    around = _reached_padding(reader, node, image, kernel, stride, vertical, horizontal)
    _average(reader, node, image, kernel, stride, around)


def _emit_pad(reader: Reader, node: fx.Node, image: str, vertical: int, horizontal: int) -> str:
    channels, height, width = reader.tensors[image].shape
    shape, by_axis = (channels, height + 2 * vertical, width + 2 * horizontal), (vertical, horizontal)
    pads = ((0, 0), *((n, n) for n in by_axis))
    return reader.emit(node, Pad, (image,), shape=shape, amounts=pads, name=f"{reader.path(node)}/pad")


def _reached_padding(
    reader: Reader, node: fx.Node, image: str, kernel: Pair, stride: Pair, vertical: int, horizontal: int
) -> Padding:
    """The padding that the windows reach, with `ceil_mode` or without."""
    size, output_size = reader.tensors[image].shape[1:], (1, *(int(n) for n in node.meta["val"].shape[2:]))[-2:]
    ends = [
        max((count - 1) * step + window - n - before, 0)
        for count, step, window, n, before in zip(
            output_size, stride, kernel, size, (vertical, horizontal), strict=True
        )
    ]
    return (vertical, ends[0], horizontal, ends[1])


def _lower_max_pool(reader: Reader, node: fx.Node) -> None:
    x, kernel, stride, padding, dilation = arguments(node, "self", "kernel_size", "stride", "padding", "dilation")
    one_axis = len(reader.shape(x)) == 2
    if pair_of(dilation, 1, one_axis) != (1, 1):
        raise Unsupported("its windows are dilated")
    kernel, stride = pair_of(kernel, 1, one_axis), pair_of(stride or kernel, 1, one_axis)
    image = as_image(reader, node, x) if one_axis else reader.name(x)
    around = _reached_padding(reader, node, image, kernel, stride, *pair_of(padding, 0, one_axis))
    emit_on_image(reader, node, MaxPool2d, image, one_axis, kernel=kernel, stride=stride, padding=around)


def _lower_mean(reader: Reader, node: fx.Node) -> None:
    x, dims = arguments(node, "self", "dim")
    shape = reader.shape(x)
    rank = len(shape) + 1
    axes = tuple(sorted(axis % rank - 1 for axis in dims or range(rank)))
    if axes[0] < 0:
        raise Unsupported("it mixes the samples of a batch")
    output_shape = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    if rank == 4 and axes == (1, 2):
        mean = reader.emit(node, GlobalAveragePool, (reader.name(x),), shape=output_shape)
    else:
        mean = reader.emit(node, Mean, (reader.name(x),), shape=output_shape, axes=axes)
    reader.emit(node, Reshape, (mean,), name=f"{reader.path(node)}/shaped")


LOWERINGS: dict[str, Lowering] = {
    "adaptive_avg_pool1d": _lower_adaptive_pool,
    "adaptive_avg_pool2d": _lower_adaptive_pool,
    "avg_pool1d": _lower_average_pool,
    "avg_pool2d": _lower_average_pool,
    "max_pool1d": _lower_max_pool,
    "max_pool2d": _lower_max_pool,
    "mean": _lower_mean,
}
