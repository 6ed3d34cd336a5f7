"""Write elementwise operators on one tensor or two as calls of C kernels."""

from math import prod

import numpy as np

from edgekd.formats.c.functions import Constant, Kernel
from edgekd.formats.c.loops import LOOPS, contiguous_strides, merge_axes
from edgekd.formats.c.source import CSource, View, Writer
from edgekd.formats.c.unary import write_table
from edgekd.formats.layout import Layout
from edgekd.graph.operators.arithmetic import fixed_point, fixed_point_add
from edgekd.graph.operators.elementwise import HEADROOM, in_reach, product_factor, relu_range
from edgekd.graph.ops import Add, Mul, Prelu, Relu, Sub
from edgekd.graph.structure import Operator, activation_range


def _write_sum(source: CSource, op: Add | Sub) -> None:
    if op.inputs[0] == op.inputs[1]:
        write_table(source, op)
        return
    _write_binary(source, op, list(op.inputs), _sum_function(source, op))


def _sum_function(source: CSource, op: Add | Sub) -> str:
    """Return the name of the C function that adds two codes.

    It rounds as XNNPACK does, or twice as TFLite does where XNNPACK doesn't support the ratio of the scales.
    """
    a, b, output = (source.graph.quantization(name) for name in (*op.inputs, op.output))
    once = source.rounding.name == "xnnpack" and in_reach(a, b, output)
    low, high = activation_range(op.activation, output, "xnnpack" if once else "tflm")
    constants: dict[str, Constant] = {
        "FIRST_ZERO_POINT": a.zero_point, "SECOND_ZERO_POINT": b.zero_point, "SIGN": -1 if isinstance(op, Sub) else 1,
        "ZERO_POINT": output.zero_point, "LOWEST": low, "HIGHEST": high,
    }  # fmt: skip
    if once:
        by_a, by_b, shift = fixed_point_add(a, b, output)
        constants |= {"FIRST_MULTIPLIER": by_a, "SECOND_MULTIPLIER": by_b, "SHIFT": shift}
        return source.functions.instance(Kernel("sum_once", constants))
    largest = 2 * max(a.scale, b.scale)
    constants |= _fixed_point("FIRST_", a.scale / largest) | _fixed_point("SECOND_", b.scale / largest)
    constants |= _fixed_point("", largest / (2**HEADROOM * output.scale))
    return source.functions.instance(Kernel("sum_twice", constants))


def _write_mul(source: CSource, op: Mul) -> None:
    if op.inputs[0] == op.inputs[1]:
        write_table(source, op)
        return
    a, b, output = (source.graph.quantization(name) for name in (*op.inputs, op.output))
    factor = product_factor(a, b, output)
    exact = a.scale * b.scale / output.scale if source.rounding.name == "tflm" else float(factor)
    once = source.rounding.name == "xnnpack" and 2**-16 <= factor < 2**8
    ends = activation_range(op.activation, output, source.rounding.name)
    constants: dict[str, Constant] = {"FIRST_ZERO_POINT": a.zero_point, "SECOND_ZERO_POINT": b.zero_point}
    scale = source.scale(factor if once else fixed_point(np.asarray(exact)), output, *ends)
    product = source.functions.instance(Kernel("product", constants, {"scale": scale}))
    _write_binary(source, op, list(op.inputs), product)


def _write_prelu(source: CSource, op: Prelu) -> None:
    """Write PReLU as a binary operator whose second operand is the slope of each channel."""
    a, output = (source.graph.quantization(name) for name in (op.inputs[0], op.output))
    real = np.float64 if source.rounding.name == "tflm" else np.float32
    ratio = real(a.scale) / real(output.scale)
    slope_ratio = real(a.scale) * real(op.slope_scale) / real(output.scale)
    constants: dict[str, Constant] = {"FIRST_ZERO_POINT": a.zero_point, "ZERO_POINT": output.zero_point}
    constants |= _fixed_point("", float(ratio)) | _fixed_point("SLOPE_", float(slope_ratio))
    slopes = f"{op.name}/slope"
    source.values[slopes] = op.slope.reshape(-1, *[1] * (len(source.shape(op.output)) - 1))
    _write_binary(source, op, [op.inputs[0], slopes], source.functions.instance(Kernel("prelu", constants)))


def _write_relu(source: CSource, op: Relu) -> None:
    low, high = relu_range(op, source.graph.quantization(op.output), source.rounding.name)
    view = source.first_view(op.inputs[0])
    output = source.declare(op.output, view.layout)
    constants: dict[str, Constant] = {"COUNT": output.buffer.size, "LOWEST": low, "HIGHEST": high}
    source.call(Kernel("clamp", constants), [view], output, in_place=True)


def _fixed_point(prefix: str, ratio: float) -> dict[str, Constant]:
    multiplier, exponent = fixed_point(np.asarray(ratio))
    return {f"{prefix}MULTIPLIER": int(multiplier), f"{prefix}EXPONENT": int(exponent)}


def _write_binary(source: CSource, op: Operator, operands: list[str], combine: str) -> None:
    """Write a binary operator in the layout of an operand that has the output's shape; the other one follows it."""
    shape = source.shape(op.output)
    shapes = [source.values[name].shape if name in source.values else source.shape(name) for name in operands]
    candidates = [
        view.layout
        for name, other in zip(operands, shapes, strict=True)
        if other == shape
        for view in source.views.get(name, [])
    ]
    layout = candidates[0] if candidates else Layout.of(shape)
    layouts = [layout if other == shape else layout.broadcast(other) for other in shapes]
    views = [source.read_as(name, target) for name, target in zip(operands, layouts, strict=True)]
    output = source.declare(op.output, layout)
    _call_binary(source, views, output, layout.sizes, combine)


def _call_binary(source: CSource, views: list[View], output: View, sizes: tuple[int, ...], combine: str) -> None:
    """Add one call, or one for each position of the outermost axes where there are more axes than loops in a kernel."""
    axes = merge_axes(sizes, *(_broadcast_strides(view.layout.sizes) for view in views))
    names = ("SIZE", "FIRST", "SECOND")
    inner = axes[-LOOPS:]
    constants = {f"{name}_{i}": axis[part] for i, axis in enumerate(inner) for part, name in enumerate(names)}
    kernel = Kernel("binary", constants, {"combine": combine})
    outer = axes[:-LOOPS]
    length = prod(axis[0] for axis in inner)
    for number, position in enumerate(np.ndindex(*(axis[0] for axis in outer))):
        offsets = [sum(i * axis[part] for i, axis in zip(position, outer, strict=True)) for part in (1, 2)]
        starts = [View(v.buffer, v.layout, v.offset + offset) for v, offset in zip(views, offsets, strict=True)]
        region = View(output.buffer, output.layout, number * length).region
        source.call(kernel, starts, output, output=region, in_place=not outer)


def _broadcast_strides(sizes: tuple[int, ...]) -> list[int]:
    """Return the stride of each axis, in elements; 0 for axes of length 1, along which an operand is repeated."""
    return [0 if n == 1 else stride for n, stride in zip(sizes, contiguous_strides(sizes), strict=True)]


WRITERS: dict[type[Operator], Writer] = {
    Add: _write_sum,
    Sub: _write_sum,
    Mul: _write_mul,
    Prelu: _write_prelu,
    Relu: _write_relu,
}
