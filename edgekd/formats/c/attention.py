"""Write matrix products of activations and softmax over the last axis as calls of C kernels."""

from math import prod

import numpy as np

from edgekd.formats.c.functions import Constant, Kernel
from edgekd.formats.c.loops import contiguous_strides, merge_axes
from edgekd.formats.c.source import CSource, Writer
from edgekd.formats.layout import Layout
from edgekd.graph.operators.arithmetic import f32, fixed_point
from edgekd.graph.operators.attention import rounds_once
from edgekd.graph.operators.softmax import exponentials, fixed_exponentials
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import QMAX, QMIN, Operator

BATCH_LOOPS = 2
"""The number of loops that the kernel has over the axes before the last two."""


def _write_matmul(source: CSource, op: MatMul) -> None:
    a, b, output = (source.graph.quantization(name) for name in (*op.inputs, op.output))
    once = rounds_once(b, source.rounding.name)
    ratio = f32(a.scale) * f32(b.scale) / f32(output.scale)
    exact = fixed_point(np.asarray(a.scale * b.scale / output.scale))
    scale = source.scale(ratio if once else exact, output, QMIN, QMAX)
    shape = source.shape(op.output)
    operands = [source.read(name) for name in op.inputs]
    strides = [_strides(view.layout) for view in operands]
    batches = merge_axes(shape[:-2], *(_broadcast_strides(s[:-2], len(shape) - 2) for s in strides))
    batches = [axis for axis in batches if axis[0] > 1]
    if len(batches) > BATCH_LOOPS:
        operands = [source.read(name, tuple(range(len(source.shape(name))))) for name in op.inputs]
        strides = [_strides(view.layout) for view in operands]
        batches = merge_axes(shape[:-2], *(_broadcast_strides(s[:-2], len(shape) - 2) for s in strides))
        batches = [axis for axis in batches if axis[0] > 1]
    constants: dict[str, Constant] = {"ROWS": shape[-2], "COLUMNS": shape[-1]}
    for i, axis in enumerate([(1, 0, 0)] * (BATCH_LOOPS - len(batches)) + batches):
        constants |= {f"BATCH_{i}": axis[0], f"FIRST_{i}": axis[1], f"SECOND_{i}": axis[2]}
    first, second = (
        s[-2:][:: -1 if transpose else 1] for s, transpose in zip(strides, _transpose_flags(op), strict=True)
    )
    inner = source.shape(op.inputs[0])[-2 if op.transpose_a else -1]
    constants |= {
        "FIRST_ROW": first[0], "FIRST_INNER": first[1], "SECOND_INNER": second[0], "SECOND_COLUMN": second[1],
        "INNER": inner, "FIRST_ZERO_POINT": a.zero_point, "SECOND_ZERO_POINT": b.zero_point,
    }  # fmt: skip
    source.call(Kernel("matmul", constants, {"scale": scale}), operands, source.declare(op.output, Layout.of(shape)))


def _transpose_flags(op: MatMul) -> tuple[bool, bool]:
    return op.transpose_a, op.transpose_b


def _strides(layout: Layout) -> list[int]:
    """Return the stride of each of torch's axes, in elements, in a layout that splits none; 0 for a repeated axis."""
    memory = contiguous_strides(layout.sizes)
    return [memory[places[-1]] if places and layout.sizes[places[-1]] > 1 else 0 for places in layout.axes]


def _broadcast_strides(strides: list[int], rank: int) -> list[int]:
    """Return strides for `rank` axes, with 0 for the leading axes along which the tensor is repeated."""
    return [0] * (rank - len(strides)) + strides


def _write_softmax(source: CSource, op: Softmax) -> None:
    scale = source.graph.quantization(op.inputs[0]).scale
    view, leading, _ = source.rows(op.inputs[0])
    length = source.shape(op.inputs[0])[-1]
    output = source.declare(op.output, leading.append_axis(length))
    constants = {"ROWS": prod(leading.sizes), "LENGTH": length}
    if source.rounding.name == "tflm":
        table = source.constants.array("int32_t", fixed_exponentials(scale * float(f32(op.beta))))
        source.call(Kernel("softmax_twice", constants), [view], output, [table], in_place=True)
    else:
        table = source.constants.array("float", exponentials(f32(scale) * f32(op.beta)))
        source.call(Kernel("softmax_once", constants), [view], output, [table], in_place=True)


WRITERS: dict[type[Operator], Writer] = {MatMul: _write_matmul, Softmax: _write_softmax}
