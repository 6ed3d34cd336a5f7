"""Layer norm: a small float island of its own."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.graph.operators.normalisation import WIDEST, epsilon_in_codes
from edgekd.graph.ops import LayerNorm
from edgekd.graph.structure import Operator, Tensor

UNDELEGATED_RANK = 7
"""Axes from which on XNNPACK leaves an operator to LiteRT's built-in kernels."""


class _Island:
    """Writes float32 operators one after the other, on tensors of the shape of `like` with another last axis."""

    def __init__(self, file: FlatbufferFile, op: Operator) -> None:
        self.file, self.op = file, op
        self.lead = file.graph.tensors[op.output].shape[:-1]
        self.width = file.graph.tensors[op.output].shape[-1]
        self.count = 0

    def value(self, width: int, shape: tuple[int, ...] | None = None) -> int:
        """A new tensor (..., width)."""
        self.count += 1
        shape = (*self.lead, width) if shape is None else shape
        return self.file.activation(Tensor("", shape), f"{self.op.name}/{self.count}", shape)

    def constant(self, name: str, values: Any) -> int:
        return self.file.constant(f"{self.op.name}/{name}", np.asarray(values))

    def apply(self, code: int, inputs: list[int], width: int, options: Any = None) -> int:
        output = self.value(width)
        self.file.operator(code, 1, inputs, output, options)
        return output

    def mean(self, x: int) -> int:
        options = schema.ReducerOptionsT()
        options.keepDims = True
        axis = self.constant("axis", np.array([len(self.lead) + 1], np.int32))
        return self.apply(Code.MEAN, [x, axis], 1, options)

    def multiply(self, x: int, y: int, width: int) -> int:
        return self.apply(Code.MUL, [x, y], width, schema.MulOptionsT())

    def add(self, x: int, name: str, values: Any, width: int) -> int:
        return self.apply(Code.ADD, [x, self.constant(name, np.atleast_1d(values))], width, schema.AddOptionsT())

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        options = schema.ReshapeOptionsT()
        options.newShape = np.array((-1, *shape), np.int32)
        output = self.value(1, shape)
        self.file.operator(Code.RESHAPE, 1, [x, self.constant("shape", options.newShape)], output, options)
        return output

    def square_root(self, x: int) -> int:
        """By LiteRT's built-in kernel, which is exact to the last bit: XNNPACK's estimates, another on each CPU."""
        shape = (*self.lead, 1)
        many = (*[1] * (UNDELEGATED_RANK - 1 - len(shape)), *shape)
        wide = self.reshape(x, many)
        root = self.value(1, many)
        self.file.operator(Code.SQRT, 1, [wide], root)
        return self.reshape(root, shape)


def _write_layer_norm(file: FlatbufferFile, op: LayerNorm) -> None:
    if file.graph.tensors[op.inputs[0]].quantization is None:
        _write_float_layer_norm(file, op)
        return
    source = file.graph.quantization(op.inputs[0])
    island = _Island(file, op)
    width = island.width
    if width > WIDEST:
        raise UnsupportedOperatorError(
            f"layer {op.name} (layer_norm, {op.source}): {width} squared codes have no exact sum in float32",
            f"normalise over {WIDEST} values or fewer",
        )
    # On the codes themselves, so that all sums are whole numbers (`graph.operators.normalisation`).
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.INT8, schema.TensorType.FLOAT32
    codes = island.apply(Code.CAST, file.plain_inputs(op), width, cast)
    mean, square = island.mean(codes), island.mean(island.multiply(codes, codes, width))
    positive = schema.SubOptionsT()
    positive.fusedActivationFunction = schema.ActivationFunctionType.RELU
    variance = island.apply(Code.SUB, [square, island.multiply(mean, mean, 1)], 1, positive)
    centred = island.apply(Code.SUB, [codes, mean], width, schema.SubOptionsT())
    deviation = island.square_root(island.add(variance, "epsilon", epsilon_in_codes(op, source), 1))
    normal = island.apply(Code.DIV, [centred, deviation], width, schema.DivOptionsT())
    scaled = island.multiply(normal, island.constant("weight", op.weight), width)
    shifted = island.add(scaled, "bias", op.bias, width)
    file.operator(Code.QUANTIZE, 1, [shifted], file.output(op), schema.QuantizeOptionsT())


def _write_float_layer_norm(file: FlatbufferFile, op: LayerNorm) -> None:
    island = _Island(file, op)
    (x,), width = file.plain_inputs(op), island.width
    centred = island.apply(Code.SUB, [x, island.mean(x)], width, schema.SubOptionsT())
    variance = island.mean(island.multiply(centred, centred, width))
    inverse = island.apply(Code.RSQRT, [island.add(variance, "epsilon", np.float32(op.epsilon), 1)], 1)
    scaled = island.multiply(island.multiply(centred, inverse, width), island.constant("weight", op.weight), width)
    file.operator(Code.ADD, 1, [scaled, island.constant("bias", op.bias)], file.output(op), schema.AddOptionsT())


WRITERS: dict[type[Operator], Writer] = {LayerNorm: _write_layer_norm}
