"""Layer norm and group norm: small float islands of their own."""

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
"""Axes from which on XNNPACK leaves an operator to LiteRT's built-in kernels."""


class _Island:
    """Writes operators one after the other, each on new float32 tensors; shapes are without the batch."""

    def __init__(self, file: FlatbufferFile, op: Operator) -> None:
        self.file, self.op, self.count = file, op, 0

    def value(self, shape: Shape, like: Tensor | None = None) -> int:
        """A new tensor: of real values, or as another one's."""
        self.count += 1
        return self.file.activation(like or Tensor("", shape), f"{self.op.name}/{self.count}", shape)

    def constant(self, name: str, values: Any) -> int:
        """A tensor that stands in the file."""
        return self.file.constant(f"{self.op.name}/{name}", np.asarray(values))

    def number(self, name: str, value: float) -> int:
        """One float32 number that stands in the file."""
        return self.constant(name, np.array([value], np.float32))

    def apply(self, code: int, inputs: list[int], shape: Shape, options: Any = None) -> int:
        """The output of an operator."""
        output = self.value(shape)
        self.file.operator(code, 1, inputs, output, options)
        return output

    def reduce(self, code: int, x: int, axes: tuple[int, ...], shape: Shape) -> int:
        """A sum or mean over axes of the shape, which stay with length 1."""
        options = schema.ReducerOptionsT()
        options.keepDims = True
        return self.apply(code, [x, self.constant("axis", np.array(axes, np.int32) + 1)], shape, options)

    def multiply(self, x: int, y: int, shape: Shape) -> int:
        """x * y"""
        return self.apply(Code.MUL, [x, y], shape, schema.MulOptionsT())

    def add(self, x: int, y: int, shape: Shape) -> int:
        """x + y"""
        return self.apply(Code.ADD, [x, y], shape, schema.AddOptionsT())

    def subtract(self, x: int, y: int, shape: Shape) -> int:
        """x - y"""
        return self.apply(Code.SUB, [x, y], shape, schema.SubOptionsT())

    def divide(self, x: int, y: int, shape: Shape) -> int:
        """x / y"""
        return self.apply(Code.DIV, [x, y], shape, schema.DivOptionsT())

    def reshape(self, x: int, shape: Shape, like: Tensor | None = None) -> int:
        """The same values under another shape."""
        target = np.array((-1, *shape), np.int32)
        options = schema.ReshapeOptionsT()
        options.newShape = target
        output = self.value(shape, like)
        self.file.operator(Code.RESHAPE, 1, [x, self.constant("shape", target)], output, options)
        return output

    def square_root(self, x: int, shape: Shape) -> int:
        """By LiteRT's built-in kernel, which is exact to the last bit: XNNPACK's estimates, another on each CPU."""
        many = (*[1] * (UNDELEGATED_RANK - 1 - len(shape)), *shape)
        wide = self.reshape(x, many)
        root = self.value(many)
        self.file.operator(Code.SQRT, 1, [wide], root)
        return self.reshape(root, shape)

    def cast(self, codes: int, shape: Shape) -> int:
        """int8 codes as float32 numbers: all sums are then whole numbers."""
        options = schema.CastOptionsT()
        options.inDataType, options.outDataType = schema.TensorType.INT8, schema.TensorType.FLOAT32
        return self.apply(Code.CAST, [codes], shape, options)

    def standardise(self, codes: int, mean: int, square: int, epsilon: np.float32, whole: Shape, each: Shape) -> int:
        """Codes of the shape `whole` by the means of them and of their squares, which have the shape `each`."""
        positive = schema.SubOptionsT()
        positive.fusedActivationFunction = schema.ActivationFunctionType.RELU
        variance = self.apply(Code.SUB, [square, self.multiply(mean, mean, each)], each, positive)
        centred = self.subtract(codes, mean, whole)
        deviation = self.square_root(self.add(variance, self.number("epsilon", float(epsilon)), each), each)
        return self.divide(centred, deviation, whole)


def _write_layer_norm(file: FlatbufferFile, op: LayerNorm) -> None:
    whole = file.graph.tensors[op.output].shape
    axis, each, width = (len(whole) - 1,), (*whole[:-1], 1), whole[-1]
    source, island = file.graph.tensors[op.inputs[0]].quantization, _Island(file, op)
    if source is not None and width > WIDEST:
        raise UnsupportedOperatorError(
            f"layer {op.name} (layer_norm, {op.source}): {width} squared codes have no exact sum in float32",
            f"normalise over {WIDEST} values or fewer",
        )
    (x,) = file.plain_inputs(op)
    if source is None:
        normal = _float_normal(island, op, x, axis, whole, each)
        scaled = island.multiply(normal, island.constant("weight", op.weight), whole)
        bias = island.constant("bias", op.bias)
        file.operator(Code.ADD, 1, [scaled, bias], file.output(op), schema.AddOptionsT())
        return
    codes = island.cast(x, whole)
    mean = island.reduce(Code.MEAN, codes, axis, each)
    square = island.reduce(Code.MEAN, island.multiply(codes, codes, whole), axis, each)
    normal = island.standardise(codes, mean, square, epsilon_in_codes(op, source), whole, each)
    scaled = island.multiply(normal, island.constant("weight", op.weight), whole)
    shifted = island.add(scaled, island.constant("bias", op.bias), whole)
    file.operator(Code.QUANTIZE, 1, [shifted], file.output(op), schema.QuantizeOptionsT())


def _float_normal(
    island: _Island, op: LayerNorm | GroupNorm, x: int, axes: tuple[int, ...], whole: Shape, each: Shape
) -> int:
    centred = island.subtract(x, island.reduce(Code.MEAN, x, axes, each), whole)
    variance = island.reduce(Code.MEAN, island.multiply(centred, centred, whole), axes, each)
    more = island.add(variance, island.number("epsilon", op.epsilon), each)
    return island.multiply(centred, island.apply(Code.RSQRT, [more], each), whole)


def _write_group_norm(file: FlatbufferFile, op: GroupNorm) -> None:
    """On (places, groups, channels of a group), as an image stands that is stored channels last."""
    source, output = (file.graph.tensors[name] for name in (op.inputs[0], op.output))
    channels, *places = source.shape
    whole, each = (prod(places), op.groups, channels // op.groups), (1, op.groups, 1)
    (stored,) = file.inputs(op, (*range(1, len(source.shape)), 0))
    island = _Island(file, op)
    x = island.reshape(stored, whole, source)
    if source.quantization is None:
        normal = _float_normal(island, op, x, (0, 2), whole, each)
    else:
        _refuse_inexact(op, whole)
        codes, count = island.cast(x, whole), island.number("count", whole[0] * whole[2])
        total = island.reduce(Code.SUM, codes, (0, 2), each)
        squares = _total_of_squares(island, island.multiply(codes, codes, whole), whole)
        mean, square = island.divide(total, count, each), island.divide(squares, count, each)
        normal = island.standardise(codes, mean, square, epsilon_in_codes(op, source.quantization), whole, each)
    weight, bias = (island.constant(name, getattr(op, name).reshape(1, *whole[1:])) for name in op.parameters)
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    y = island.apply(Code.ADD, [island.multiply(normal, weight, whole), bias], whole, options)
    if output.quantization is not None:
        real, y = y, island.value(whole, output)
        file.operator(Code.QUANTIZE, 1, [real], y, schema.QuantizeOptionsT())
    file.reshape(y, file.output(op), (*places, channels))


def _refuse_inexact(op: GroupNorm, whole: Shape) -> None:
    size, channels = whole[0] * whole[2], whole[2]
    if size <= LARGEST_GROUP and channels <= WIDEST:
        return
    what = f"{size} codes" if size > LARGEST_GROUP else f"{channels} channels"
    raise UnsupportedOperatorError(
        f"layer {op.name} (group_norm, {op.source}): groups of {what} have no exact sums in float32",
        f'more groups, or keep the layer in float: quantize.float_layers = ["{op.name}"]',
    )


def _total_of_squares(island: _Island, squares: int, whole: Shape) -> int:
    """The sum of each group, rounded once: of a large one, by the digits of its parts' sums."""
    places, groups, channels = whole
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
