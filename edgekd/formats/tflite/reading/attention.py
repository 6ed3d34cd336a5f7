"""Gives the reader of files the readers of BATCH_MATMUL and SOFTMAX."""

from math import isfinite

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import Code
from edgekd.formats.tflite.reading.network import Network, Reader
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import Quantization

SOFTMAX_CODES = Quantization(1 / 256, -128)
"""The scale and zero point of the output of every kernel's softmax."""


def _read_matmul(net: Network, op: StoredOperator) -> None:
    options = op.options(schema.BatchMatMulOptionsT)
    operands = net.input(op, 0), net.input(op, 1)
    shapes = [net.shapes[tensor] for tensor in operands]
    if min(map(len, shapes)) < 2 or shapes[0][:-2] != shapes[1][:-2]:
        raise op.refusal(f"multiplies {shapes[0]} by {shapes[1]}", "as many matrices on either side")
    (rows, length_a), (length_b, columns) = (
        shape[-2:][::-1] if swapped else shape[-2:]
        for shape, swapped in zip(shapes, (options.adjX, options.adjY), strict=True)
    )
    if length_a != length_b:
        raise damage_error(f"{op} multiplies {shapes[0]} by {shapes[1]}")
    net.output_shape(op, (*shapes[0][:-2], rows, columns))
    axes = tuple(range(1 if len(shapes[0]) > 2 and shapes[0][0] == 1 else 0, len(shapes[0])))
    names = tuple(net.read(tensor, axes) for tensor in operands)
    net.emit(op, lambda n, out: MatMul(n, names, out, bool(options.adjX), bool(options.adjY)), axes)


def _read_softmax(net: Network, op: StoredOperator) -> None:
    source, codes = net.input(op, 0), net.quantization(op.outputs[0])
    beta = op.options(schema.SoftmaxOptionsT).beta if op.options_type else 1.0
    if not (isfinite(beta) and beta > 0):
        raise damage_error(f"{op} multiplies by {beta}")
    if codes is not None and codes != SOFTMAX_CODES:
        raise op.refusal(
            f"has an output on the scale {codes.scale:g} with the zero point {codes.zero_point}",
            "convert it anew: the 8-bit specification demands 1/256 and -128",
        )
    net.output_shape(op, net.shapes[source])
    name = net.read_file_order(source)
    net.emit(op, lambda n, out: Softmax(n, (name,), out, beta), net.file_axes(source))


READERS: dict[int, Reader] = {Code.BATCH_MATMUL: _read_matmul, Code.SOFTMAX: _read_softmax}
