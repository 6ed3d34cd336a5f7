"""Means and maxima over windows, over whole images and over any axes."""

from collections.abc import Sequence
from math import prod

from edgekd.formats.c.functions import Constant, Kernel
from edgekd.formats.c.loops import joined, steps
from edgekd.formats.c.source import CSource, View, Writer
from edgekd.formats.layout import IMAGE, Layout
from edgekd.graph.operators.pooling import tflm_mean, xnnpack_mean
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean
from edgekd.graph.structure import QMAX, QMIN, Operator

MEAN_LOOPS = 2
"""That the kernel has over the axes that are kept, and over those that are not."""


def _write_global_average_pool(source: CSource, op: GlobalAveragePool) -> None:
    _mean(source, op, (1, 2))


def _write_mean(source: CSource, op: Mean) -> None:
    _mean(source, op, op.axes)


def _mean(source: CSource, op: Operator, axes: Sequence[int]) -> None:
    """Over some of torch's axes, in whatever layout the values stand."""
    view = source.standing(op.inputs[0])
    kept = [axis for axis in range(len(view.layout.axes)) if axis not in axes]
    loops = [_loops(view, which) for which in (kept, axes)]
    if max(map(len, loops)) > MEAN_LOOPS:
        view = source.read(op.inputs[0], (*kept, *axes))
        loops = [_loops(view, which) for which in (kept, axes)]
    output = source.declare(op.output, _without(view.layout, kept))
    constants: dict[str, Constant] = {}
    for name, which in zip(("KEPT", "REDUCED"), loops, strict=True):
        for i, (length, step) in enumerate([(1, 0)] * (MEAN_LOOPS - len(which)) + which):
            constants |= {f"{name}_{i}": length, f"{name}_STEP_{i}": step}
    count = prod(source.shape(op.inputs[0])[axis] for axis in axes)
    scale, offset = _scale(source, op, count)
    kernel = Kernel("mean", {**constants, "OFFSET": offset}, {"scale": scale})
    source.call(kernel, [view], output)


def _loops(view: View, axes: Sequence[int]) -> list[tuple[int, int]]:
    """(length, step) of the stored axes that make up some of torch's, outermost first, as few as there can be."""
    places = sorted(place for axis in axes for place in view.layout.axes[axis])
    each = steps(view.layout.sizes)
    merged = joined([view.layout.sizes[place] for place in places], [each[place] for place in places])
    return [(length, step) for length, step in merged if length > 1]


def _without(layout: Layout, kept: Sequence[int]) -> Layout:
    """The layout of what is left of some axes."""
    places = sorted(place for axis in kept for place in layout.axes[axis])
    sizes = tuple(layout.sizes[place] for place in places)
    return Layout(sizes, tuple(tuple(places.index(place) for place in layout.axes[axis]) for axis in kept))


def _scale(source: CSource, op: Operator, count: int) -> tuple[str, int]:
    """(the function that takes a sum of codes to the code of their mean, what is subtracted from the sum before)."""
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
