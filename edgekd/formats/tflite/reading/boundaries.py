"""Gives the reader of files the readers of QUANTIZE, DEQUANTIZE and CAST, which convert codes and real values."""

from dataclasses import replace

import numpy as np

from edgekd.formats.tflite.reading.content import StoredOperator
from edgekd.formats.tflite.reading.file_tensors import Code
from edgekd.formats.tflite.reading.network import Network, Reader, Rows
from edgekd.formats.tflite.reading.normalisation import read_normalisation
from edgekd.graph.operators.unary import REAL
from edgekd.graph.ops import Dequantize, Quantize, Requantize, Unary

UNSIGNED_OFFSET = 128
"""The difference between a uint8 code and the int8 code of the same value."""


def _read_quantize(net: Network, op: StoredOperator) -> None:
    source, output = net.input(op, 0), op.outputs[0]
    net.output_shape(op, net.shapes[source])
    if net.is_input_before_quantize(source):
        _read_input_quantize(net, op, source)
        return
    if net.dtype(output) == np.uint8:
        _read_output_quantize(net, op, source)
        return
    codes = net.codes(op, output)
    axes = net.axes(source)
    name = net.read(source, axes)
    if net.quantization(source) is not None:
        net.emit(op, lambda n, out: Requantize(n, (name,), out), axes)
        return
    unary = _unary_on_reals(net, source) if codes.bits == 8 else None
    if unary is not None:
        net.emit(op, lambda n, out: replace(unary, name=n, output=out), axes)
    else:
        net.emit(op, lambda n, out: Quantize(n, (name,), out), axes)


def _unary_on_reals(net: Network, source: int) -> Unary | None:
    """Return the function between a DEQUANTIZE and `source`, or None if no kernel computes it in one step on codes."""
    function = net.producer(source)
    if not isinstance(function, Unary) or function.function not in REAL["xnnpack"]:
        return None
    dequantize = net.producers.get(function.inputs[0])
    return replace(function, inputs=dequantize.inputs, real=True) if isinstance(dequantize, Dequantize) else None


def _read_input_quantize(net: Network, op: StoredOperator, source: int) -> None:
    """Read a QUANTIZE of an input of real values or uint8 codes; the graph's input is the int8 codes of its output."""
    output, stored = op.outputs[0], net.content.tensors[source]
    codes = net.codes(op, output)
    if stored.dtype == np.uint8 and (
        len(stored.scales) != 1
        or float(stored.scales[0]) != codes.scale
        or int(stored.zero_points[0]) != codes.zero_point + UNSIGNED_OFFSET
    ):
        raise op.refusal("takes uint8 codes to another scale", "let the input's codes be the first layer's, 128 apart")
    if source not in net.input_codes:
        net.declare_input(source, output)
        return
    if net.quantization(net.input_codes[source]) != codes:
        raise op.refusal("takes an input to a second scale", "one QUANTIZE for each input")
    net.forms[output] = list(net.forms[net.input_codes[source]])


def _read_output_quantize(net: Network, op: StoredOperator, source: int) -> None:
    """Read a QUANTIZE to an output of uint8 codes; the graph's output is the int8 codes of its source."""
    codes, stored = net.codes(op, source), net.content.tensors[op.outputs[0]]
    if (
        op.outputs[0] not in net.content.outputs
        or len(stored.scales) != 1
        or float(stored.scales[0]) != codes.scale
        or int(stored.zero_points[0]) != codes.zero_point + UNSIGNED_OFFSET
    ):
        raise op.refusal("makes uint8 codes on another scale", "let the output's codes be the last layer's, 128 apart")
    net.code_sources[op.outputs[0]] = source


def _read_dequantize(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    net.output_shape(op, net.shapes[source])
    net.codes(op, source)
    net.code_sources[op.outputs[0]] = net.code_sources.get(source, source)
    axes = net.axes(source)
    name = net.read(source, axes)
    net.emit(op, lambda n, out: Dequantize(n, (name,), out), axes)


def _read_cast(net: Network, op: StoredOperator) -> None:
    """Read a CAST of codes to indices of a table's rows, or to float values of a normalisation that edgekd wrote."""
    source, output = net.input(op, 0), op.outputs[0]
    net.output_shape(op, net.shapes[source])
    if net.dtype(source) == np.int8 and net.dtype(output) == np.int32:
        net.rows[output] = Rows(source, 0)
    elif net.dtype(source) != np.int8 or net.dtype(output) != np.float32 or not read_normalisation(net, op):
        kinds = " to ".join(net.content.tensors[t].type_name for t in (source, output))
        raise op.refusal(f"turns {kinds}", "leave the conversion to QUANTIZE and DEQUANTIZE")


READERS: dict[int, Reader] = {
    Code.QUANTIZE: _read_quantize,
    Code.DEQUANTIZE: _read_dequantize,
    Code.CAST: _read_cast,
}
