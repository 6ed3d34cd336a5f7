"""Write pooling over windows and means over any axes as calls of C kernels."""

from collections.abc import Sequence
from math import prod

from edgekd.formats.c.functions import Constant, Kernel
from edgekd.formats.c.loops import contiguous_strides, merge_axes
from edgekd.formats.c.source import CSource, View, Writer
from edgekd.formats.layout import IMAGE, Layout
from edgekd.graph.operators.pooling import tflm_mean, xnnpack_mean
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean
from edgekd.graph.structure import QMAX, QMIN, Operator

MEAN_LOOPS = 2
"""The number of loops that the kernel has over the remaining axes, and over the axes of the mean."""


def _write_global_average_pool(source: CSource, op: GlobalAveragePool) -> None:
    _mean(source, op, (1, 2))


def _write_mean(source: CSource, op: Mean) -> None:
    _mean(source, op, op.axes)


def _mean(source: CSource, op: Operator, axes: Sequence[int]) -> None:
    """Write a mean over some of torch's axes, in the input's layout where the kernel has enough loops."""
    view = source.first_view(op.inputs[0])
    remaining_axes = [axis for axis in range(len(view.layout.axes)) if axis not in axes]
    loops = [_loops(view, group) for group in (remaining_axes, axes)]
    if max(map(len, loops)) > MEAN_LOOPS:
        view = source.read(op.inputs[0], (*remaining_axes, *axes))
        loops = [_loops(view, group) for group in (remaining_axes, axes)]
    output = source.declare(op.output, _select_axes(view.layout, remaining_axes))
    constants: dict[str, Constant] = {}
    for name, group in zip(("KEPT", "REDUCED"), loops, strict=True):
        for i, (length, stride) in enumerate([(1, 0)] * (MEAN_LOOPS - len(group)) + group):
            constants |= {f"{name}_{i}": length, f"{name}_STEP_{i}": stride}
    count = prod(source.shape(op.inputs[0])[axis] for axis in axes)
    scale, offset = _scale(source, op, count)
    kernel = Kernel("mean", {**constants, "OFFSET": offset}, {"scale": scale})
    source.call(kernel, [view], output)


def _loops(view: View, axes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the (length, stride) of as few loops as possible over some of torch's axes, outermost first."""
    places = sorted(place for axis in axes for place in view.layout.axes[axis])
    strides = contiguous_strides(view.layout.sizes)
    merged = merge_axes([view.layout.sizes[place] for place in places], [strides[place] for place in places])
    return [(length, stride) for length, stride in merged if length > 1]


def _select_axes(layout: Layout, axes: Sequence[int]) -> Layout:
    """Return the layout that has only the given axes of torch's, in their order in memory."""
    places = sorted(place for axis in axes for place in layout.axes[axis])
    sizes = tuple(layout.sizes[place] for place in places)
    return Layout(sizes, tuple(tuple(places.index(place) for place in layout.axes[axis]) for axis in axes))


def _scale(source: CSource, op: Operator, count: int) -> tuple[str, int]:
    """Return the name of the function from a sum of codes to their mean's code, and the offset to subtract first."""
    before, after = source.graph.quantization(op.inputs[0]), source.graph.quantization(op.output)
    if source.rounding.name == "tflm":
        return source.scale(tflm_mean(before, after, count), after, QMIN, QMAX), count * before.zero_point
    factor, constant = xnnpack_mean(before, after, count)
    return source.functions.instance(Kernel("scale_mean", {"FACTOR": factor, "CONSTANT": constant})), 0


def _write_pool(source: CSource, op: MaxPool2d | AveragePool2d) -> None:
    image = source.read(op.inputs[0], IMAGE)
    channels, height, width = source.shape(op.inputs[0])
    output = source.declare(op.output, Layout.of(source.shape(op.output), IMAGE))
    constants = {
        "INPUT_HEIGHT": height, "INPUT_WIDTH": width, "CHANNELS": channels,
        "OUTPUT_HEIGHT": source.shape(op.output)[1], "OUTPUT_WIDTH": source.shape(op.output)[2],
        "KERNEL_HEIGHT": op.kernel[0], "KERNEL_WIDTH": op.kernel[1], "STRIDE_Y": op.stride[0], "STRIDE_X": op.stride[1],
        "PADDING_TOP": op.padding[0], "PADDING_LEFT": op.padding[2],
    }  # fmt: skip
    name = "max_pool2d" if isinstance(op, MaxPool2d) else "average_pool2d"
    source.call(Kernel(name, constants), [image], output)


WRITERS: dict[type[Operator], Writer] = {
    GlobalAveragePool: _write_global_average_pool,
    Mean: _write_mean,
    MaxPool2d: _write_pool,
    AveragePool2d: _write_pool,
}
