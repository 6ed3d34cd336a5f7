"""Lowerings of sums, differences and products of two tensors or of a tensor and a constant, and of clamps."""

from typing import Any

import numpy as np
from torch import fx

from edgekd.graph.capture.affine import BatchNorm
from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments, kind_of
from edgekd.graph.ops import Add, Mul, Prelu, Relu, Sub
from edgekd.graph.structure import Array, Operator


def affine(reader: Reader, node: fx.Node, x: str, scale: Any, shift: Any, name: str | None = None) -> str:
    """Emit x * scale + shift, by numbers or by arrays with as many axes as x."""
    rank = len(reader.tensors[x].shape)
    arrays = (np.asarray(v, np.float64) for v in (scale, shift))
    scale, shift = (v.reshape((1,) * rank) if v.ndim == 0 else v for v in arrays)
    return reader.emit(node, BatchNorm, (x,), shape=reader.tensors[x].shape, name=name, scale=scale, shift=shift)


def _constant_values(reader: Reader, argument: Any, rank: int) -> Array:
    """The values of a number or a parameter, with `rank` axes and none for the batch."""
    if isinstance(argument, fx.Node):
        values = reader.value(argument)
        assert values is not None
    else:
        values = np.asarray(argument, np.float32)
    if values.ndim > rank:
        if values.ndim > rank + 1 or (values != values[:1]).any():
            raise Unsupported("it differs from sample to sample in a batch")
        values = values[0]
    return values.reshape((1,) * (rank - values.ndim) + values.shape)


def _emit_binary(reader: Reader, node: fx.Node, kind: type[Operator], a: str, b: str) -> None:
    """Emit an operator on two tensors; a broadcast one is the second, as onnxruntime's kernel expects, but for Sub."""
    shapes = [reader.tensors[name].shape for name in (a, b)]
    output_shape = tuple(int(n) for n in node.meta["val"].shape[1:])
    if len(shapes[0]) != len(shapes[1]) or output_shape not in shapes:
        raise Unsupported(f"its operands have the shapes {shapes[0]} and {shapes[1]}")
    if shapes[0] != output_shape and kind is not Sub:
        a, b = b, a
    reader.emit(node, kind, (a, b))


def _emit_with_constant(
    reader: Reader, node: fx.Node, kind: type[Operator], x: str, values: Array, sign: int = 1
) -> None:
    """Emit x * values for Mul, or x + sign * values for Add."""
    shape = reader.tensors[x].shape
    if np.broadcast_shapes(shape, values.shape) != shape:
        _emit_binary(reader, node, kind, reader.constant(node, values if kind is Mul else sign * values), x)
    elif kind is Mul:
        affine(reader, node, x, values, 0)
    else:
        affine(reader, node, x, 1, sign * values)


def _lower_sum(reader: Reader, node: fx.Node) -> None:
    """Lower self + alpha * other, or self - alpha * other."""
    x, y, alpha = arguments(node, "self", "other", "alpha")
    alpha, sign = 1 if alpha is None else alpha, -1 if kind_of(node) == "sub" else 1
    if reader.is_tensor(x) and reader.is_tensor(y):
        a, b = reader.name(x), reader.name(y)
        if alpha != 1:
            b = affine(reader, node, b, alpha, 0, f"{reader.path(node)}/scaled")
        _emit_binary(reader, node, Sub if sign < 0 else Add, a, b)
        return
    if reader.is_tensor(x):
        x = reader.name(x)
        _emit_with_constant(
            reader, node, Add, x, alpha * _constant_values(reader, y, len(reader.tensors[x].shape)), sign
        )
        return
    y = reader.name(y)
    scaled_operand = affine(reader, node, y, sign * alpha, 0, f"{reader.path(node)}/scaled")
    _emit_with_constant(reader, node, Add, scaled_operand, _constant_values(reader, x, len(reader.tensors[y].shape)))


def _lower_rsub(reader: Reader, node: fx.Node) -> None:
    x, y, alpha = arguments(node, "self", "other", "alpha")
    negative = affine(reader, node, reader.name(x), -1 if alpha is None else -alpha, 0, f"{reader.path(node)}/negative")
    _emit_with_constant(reader, node, Add, negative, _constant_values(reader, y, len(reader.tensors[negative].shape)))


def _lower_mul(reader: Reader, node: fx.Node) -> None:
    x, y = arguments(node, "self", "other")
    if reader.is_tensor(x) and reader.is_tensor(y):
        _emit_binary(reader, node, Mul, reader.name(x), reader.name(y))
        return
    x, y = (x, y) if reader.is_tensor(x) else (y, x)
    name = reader.name(x)
    _emit_with_constant(reader, node, Mul, name, _constant_values(reader, y, len(reader.tensors[name].shape)))


def _lower_div(reader: Reader, node: fx.Node) -> None:
    x, y = arguments(node, "self", "other")
    if not reader.is_tensor(x) or reader.is_tensor(y):
        raise Unsupported("it divides by computed values")
    name = reader.name(x)
    _emit_with_constant(reader, node, Mul, name, 1 / _constant_values(reader, y, len(reader.tensors[name].shape)))


def _lower_power(reader: Reader, node: fx.Node) -> None:
    exponent = node.args[1] if kind_of(node) == "pow" else 2
    if exponent != 2:
        raise Unsupported(f"it raises to the power of {exponent}; squares are supported")
    name = reader.name(node.args[0])
    reader.emit(node, Mul, (name, name))


def _lower_neg(reader: Reader, node: fx.Node) -> None:
    affine(reader, node, reader.name(node.args[0]), -1, 0)


def _lower_relu(reader: Reader, node: fx.Node) -> None:
    reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu")


def _lower_clamp(reader: Reader, node: fx.Node) -> None:
    """Lower a clamp to a ReLU6 between an affine map to [0, 6] and one back."""
    low: float | None = 0.0
    high: float | None = 6.0
    if kind_of(node) != "relu6":
        ends = ("min_val", "max_val") if kind_of(node) == "hardtanh" else ("min", "max")
        low, high = arguments(node, *ends)
    if low == 0 and high is None:
        _lower_relu(reader, node)
        return
    if low is None or high is None or not low < high:
        raise Unsupported(f"it clamps to [{low}, {high}]; both ends are needed, or 0 alone as the lower one")
    clamp(reader, node, reader.name(node.args[0]), (low, high), (low, high))


def clamp(reader: Reader, node: fx.Node, x: str, of: tuple[float, float], to: tuple[float, float]) -> None:
    """Emit the affine map of the interval `of` to the interval `to`, clamped at its ends."""
    path, stretch = reader.path(node), 6 / (of[1] - of[0])
    if of != (0, 6):
        x = affine(reader, node, x, stretch, -of[0] * stretch, f"{path}/stretched")
    if to == (0, 6):
        reader.emit(node, Relu, (x,), activation="relu6")
        return
    x = reader.emit(node, Relu, (x,), activation="relu6", name=f"{path}/clamped")
    affine(reader, node, x, (to[1] - to[0]) / 6, to[0])


def _lower_hard_sigmoid(reader: Reader, node: fx.Node) -> None:
    """Lower relu6(x + 3) / 6; the sum and the activation are fused into a layer before it."""
    clamp(reader, node, reader.name(node.args[0]), (-3, 3), (0, 1))


def _lower_prelu(reader: Reader, node: fx.Node) -> None:
    x, weight = arguments(node, "self", "weight")
    slope = reader.value(weight)
    assert slope is not None
    reader.emit(node, Prelu, (reader.name(x),), slope=np.broadcast_to(slope, reader.shape(x)[:1]).copy())


LOWERINGS: dict[str, Lowering] = {
    "add": _lower_sum,
    "sub": _lower_sum,
    "rsub": _lower_rsub,
    "mul": _lower_mul,
    "div": _lower_div,
    "neg": _lower_neg,
    "pow": _lower_power,
    "square": _lower_power,
    "relu": _lower_relu,
    "relu6": _lower_clamp,
    "hardtanh": _lower_clamp,
    "clamp": _lower_clamp,
    "hardsigmoid": _lower_hard_sigmoid,
    "prelu": _lower_prelu,
}
