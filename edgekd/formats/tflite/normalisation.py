"""The TFLite forms of layer norm and group norm, which compute in float32 between codes."""

from math import prod
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.layout import Shape
from edgekd.formats.tflite.flatbuffer import ACTIVATIONS, Code, FlatbufferFile, Writer
from edgekd.graph.operators.normalisation import BASE, LARGEST_GROUP, WIDEST, epsilon_in_codes, largest_part
from edgekd.graph.ops import GroupNorm, LayerNorm
from edgekd.graph.structure import Operator, Tensor

UNDELEGATED_RANK = 7
"""The fewest axes for which XNNPACK leaves an operator to LiteRT's built-in kernels."""


class _Island:
    """Adds operators one after the other, each with a new float32 output; shapes are without the batch."""

    def __init__(self, file: FlatbufferFile, op: Operator) -> None:
        self.file, self.op, self.count = file, op, 0

    def value(self, shape: Shape, like: Tensor | None = None) -> int:
        """Add a tensor of real values, or with the type and scale of `like`, and return its index."""
        self.count += 1
        return self.file.activation(like or Tensor("", shape), f"{self.op.name}/{self.count}", shape)

    def constant(self, name: str, values: Any) -> int:
        """Add a constant and return its index."""
        return self.file.constant(f"{self.op.name}/{name}", np.asarray(values))

    def number(self, name: str, value: float) -> int:
        """Add a float32 number as a constant and return its index."""
        return self.constant(name, np.array([value], np.float32))

    def apply(self, code: int, inputs: list[int], shape: Shape, options: Any = None) -> int:
        """Add an operator and return the index of its output."""
        output = self.value(shape)
        self.file.operator(code, 1, inputs, output, options)
        return output

    def reduce(self, code: int, x: int, axes: tuple[int, ...], shape: Shape) -> int:
        """Add a sum or mean over axes of the shape, which stay with length 1."""
        options = schema.ReducerOptionsT()
        options.keepDims = True
        return self.apply(code, [x, self.constant("axis", np.array(axes, np.int32) + 1)], shape, options)

    def multiply(self, x: int, y: int, shape: Shape) -> int:
        """Add x * y."""
        return self.apply(Code.MUL, [x, y], shape, schema.MulOptionsT())

    def add(self, x: int, y: int, shape: Shape) -> int:
        """Add x + y."""
        return self.apply(Code.ADD, [x, y], shape, schema.AddOptionsT())

    def subtract(self, x: int, y: int, shape: Shape) -> int:
        """Add x - y."""
        return self.apply(Code.SUB, [x, y], shape, schema.SubOptionsT())

    def divide(self, x: int, y: int, shape: Shape) -> int:
        """Add x / y."""
        return self.apply(Code.DIV, [x, y], shape, schema.DivOptionsT())

    def reshape(self, x: int, shape: Shape, like: Tensor | None = None) -> int:
        """Add a reshape."""
        target = np.array((-1, *shape), np.int32)
        options = schema.ReshapeOptionsT()
        options.newShape = target
        output = self.value(shape, like)
        self.file.operator(Code.RESHAPE, 1, [x, self.constant("shape", target)], output, options)
        return output

    def square_root(self, x: int, shape: Shape) -> int:
        """Add a square root by LiteRT's built-in kernel, which is exact; XNNPACK's depends on the CPU."""
        many = (*[1] * (UNDELEGATED_RANK - 1 - len(shape)), *shape)
        wide = self.reshape(x, many)
        root = self.value(many)
        self.file.operator(Code.SQRT, 1, [wide], root)
        return self.reshape(root, shape)

    def cast(self, codes: int, shape: Shape) -> int:
        """Add a cast of int8 codes to float32 numbers, whose sums are integers."""
        options = schema.CastOptionsT()
        options.inDataType, options.outDataType = schema.TensorType.INT8, schema.TensorType.FLOAT32
        return self.apply(Code.CAST, [codes], shape, options)

    def standardise(
        self, codes: int, mean: int, square: int, epsilon: np.float32, full_shape: Shape, mean_shape: Shape
    ) -> int:
        """Add the standardisation of codes (`full_shape`) by their mean and mean square (`mean_shape`)."""
        positive = schema.SubOptionsT()
        positive.fusedActivationFunction = schema.ActivationFunctionType.RELU
        variance = self.apply(Code.SUB, [square, self.multiply(mean, mean, mean_shape)], mean_shape, positive)
        difference = self.subtract(codes, mean, full_shape)
        deviation = self.square_root(self.add(variance, self.number("epsilon", float(epsilon)), mean_shape), mean_shape)
        return self.divide(difference, deviation, full_shape)


def _write_layer_norm(file: FlatbufferFile, op: LayerNorm) -> None:
    full_shape = file.graph.tensors[op.output].shape
    axis, mean_shape, width = (len(full_shape) - 1,), (*full_shape[:-1], 1), full_shape[-1]
    source, island = file.graph.tensors[op.inputs[0]].quantization, _Island(file, op)
    if source is not None and width > WIDEST:
        raise UnsupportedOperatorError(
            f"layer {op.name} (layer_norm, {op.source}): {width} squared codes have no exact sum in float32",
            f"normalise over {WIDEST} values or fewer",
        )
    (x,) = file.plain_inputs(op)
    if source is None:
        normal = _float_normal(island, op, x, axis, full_shape, mean_shape)
        product = island.multiply(normal, island.constant("weight", op.weight), full_shape)
        bias = island.constant("bias", op.bias)
        file.operator(Code.ADD, 1, [product, bias], file.output(op), schema.AddOptionsT())
        return
    codes = island.cast(x, full_shape)
    mean = island.reduce(Code.MEAN, codes, axis, mean_shape)
    square = island.reduce(Code.MEAN, island.multiply(codes, codes, full_shape), axis, mean_shape)
    normal = island.standardise(codes, mean, square, epsilon_in_codes(op, source), full_shape, mean_shape)
    product = island.multiply(normal, island.constant("weight", op.weight), full_shape)
    result = island.add(product, island.constant("bias", op.bias), full_shape)
    file.operator(Code.QUANTIZE, 1, [result], file.output(op), schema.QuantizeOptionsT())


def _float_normal(
    island: _Island, op: LayerNorm | GroupNorm, x: int, axes: tuple[int, ...], full_shape: Shape, mean_shape: Shape
) -> int:
    difference = island.subtract(x, island.reduce(Code.MEAN, x, axes, mean_shape), full_shape)
    variance = island.reduce(Code.MEAN, island.multiply(difference, difference, full_shape), axes, mean_shape)
    more = island.add(variance, island.number("epsilon", op.epsilon), mean_shape)
    return island.multiply(difference, island.apply(Code.RSQRT, [more], mean_shape), full_shape)


def _write_group_norm(file: FlatbufferFile, op: GroupNorm) -> None:
    """Write a group norm in the shape (positions, groups, channels of a group) of an image with channels last."""
    source, output = (file.graph.tensors[name] for name in (op.inputs[0], op.output))
    channels, *places = source.shape
    full_shape, mean_shape = (prod(places), op.groups, channels // op.groups), (1, op.groups, 1)
    (source_index,) = file.inputs(op, (*range(1, len(source.shape)), 0))
    island = _Island(file, op)
    x = island.reshape(source_index, full_shape, source)
    if source.quantization is None:
        normal = _float_normal(island, op, x, (0, 2), full_shape, mean_shape)
    else:
        _refuse_inexact(op, full_shape)
        codes, count = island.cast(x, full_shape), island.number("count", full_shape[0] * full_shape[2])
        total = island.reduce(Code.SUM, codes, (0, 2), mean_shape)
        squares = _total_of_squares(island, island.multiply(codes, codes, full_shape), full_shape)
        mean, square = island.divide(total, count, mean_shape), island.divide(squares, count, mean_shape)
        normal = island.standardise(
            codes, mean, square, epsilon_in_codes(op, source.quantization), full_shape, mean_shape
        )
    weight, bias = (island.constant(name, getattr(op, name).reshape(1, *full_shape[1:])) for name in op.parameters)
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    y = island.apply(Code.ADD, [island.multiply(normal, weight, full_shape), bias], full_shape, options)
    if output.quantization is not None:
        real, y = y, island.value(full_shape, output)
        file.operator(Code.QUANTIZE, 1, [real], y, schema.QuantizeOptionsT())
    file.reshape(y, file.output(op), (*places, channels))


def _refuse_inexact(op: GroupNorm, full_shape: Shape) -> None:
    size, channels = full_shape[0] * full_shape[2], full_shape[2]
    if size <= LARGEST_GROUP and channels <= WIDEST:
        return
    what = f"{size} codes" if size > LARGEST_GROUP else f"{channels} channels"
    raise UnsupportedOperatorError(
        f"layer {op.name} (group_norm, {op.source}): groups of {what} have no exact sums in float32",
        f'more groups, or keep the layer in float: quantize.float_layers = ["{op.name}"]',
    )


def _total_of_squares(island: _Island, squares: int, full_shape: Shape) -> int:
    """Add the sum of each group, rounded once; a large group is summed by the digits of its parts' sums."""
    places, groups, channels = full_shape
    if places * channels <= WIDEST:
        return island.reduce(Code.SUM, squares, (0, 2), (1, groups, 1))
    rows = largest_part(places, WIDEST // channels)
    parts, one = (places // rows, 1, groups, 1), (1, 1, groups, 1)
    split = island.reshape(squares, (places // rows, rows, groups, channels))
    sums = island.reduce(Code.SUM, split, (1, 3), parts)
    base = island.number("base", BASE)
    upper = island.apply(Code.FLOOR, [island.divide(sums, base, parts)], parts)
    lower = island.subtract(sums, island.multiply(upper, base, parts), parts)
    totals = [island.reduce(Code.SUM, digit, (0,), one) for digit in (upper, lower)]
    return island.reshape(island.add(island.multiply(totals[0], base, one), totals[1], one), (1, groups, 1))


WRITERS: dict[type[Operator], Writer] = {LayerNorm: _write_layer_norm, GroupNorm: _write_group_norm}
