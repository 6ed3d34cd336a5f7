"""QUANTIZE, DEQUANTIZE and CAST: other scales, float islands, and the ends of a file that are no int8 codes."""

from dataclasses import replace

import numpy as np

from edgekd.formats.tflite.reading.content import StoredOperator
from edgekd.formats.tflite.reading.network import Code, Network, Reader, Rows
from edgekd.formats.tflite.reading.normalisation import read_normalisation
from edgekd.graph.operators.unary import REAL
from edgekd.graph.ops import Dequantize, Quantize, Requantize, Unary

UNSIGNED = 128
"""uint8 code = int8 code + UNSIGNED."""


def _read_quantize(net: Network, op: StoredOperator) -> None:
    source, output = net.input(op, 0), op.outputs[0]
    net.output_shape(op, net.shapes[source])
    if net.outer(source):
        _take_input(net, op, source)
        return
    if net.dtype(output) == np.uint8:
        _give_output(net, op, source)
        return
    codes = net.codes(op, output)
    axes = net.axes(source)
    name = net.read(source, axes)
    if net.quantization(source) is not None:
        net.emit(op, lambda n, out: Requantize(n, (name,), out), axes)
        return
    between = _on_reals(net, source) if codes.bits == 8 else None
    if between is not None:
        net.emit(op, lambda n, out: replace(between, name=n, output=out), axes)
    else:
        net.emit(op, lambda n, out: Quantize(n, (name,), out), axes)


def _on_reals(net: Network, source: int) -> Unary | None:
    """The function that made real values of dequantized codes, if kernels have one for all three steps."""
    function = net.maker(source)
    if not isinstance(function, Unary) or function.function not in REAL["xnnpack"]:
        return None
    dequantize = net.makers.get(function.inputs[0])
    return replace(function, inputs=dequantize.inputs, real=True) if isinstance(dequantize, Dequantize) else None


def _take_input(net: Network, op: StoredOperator, source: int) -> None:
    """An input that is real values, or uint8 codes: the graph takes the int8 codes that come of it."""
    output, stored = op.outputs[0], net.content.tensors[source]
    codes = net.codes(op, output)
    if stored.dtype == np.uint8 and (
        len(stored.scales) != 1
        or float(stored.scales[0]) != codes.scale
        or int(stored.zero_points[0]) != codes.zero_point + UNSIGNED
    ):
        raise op.refused("takes uint8 codes to another scale", "let the input's codes be the first layer's, 128 apart")
    if source not in net.input_codes:
        net.take(source, output)
        return
    if net.quantization(net.input_codes[source]) != codes:
        raise op.refused("takes an input to a second scale", "one QUANTIZE for each input")
    net.forms[output] = list(net.forms[net.input_codes[source]])


def _give_output(net: Network, op: StoredOperator, source: int) -> None:
    """An output of uint8 codes: the graph gives the int8 codes."""
    codes, stored = net.codes(op, source), net.content.tensors[op.outputs[0]]
    if (
        op.outputs[0] not in net.content.outputs
        or len(stored.scales) != 1
        or float(stored.scales[0]) != codes.scale
        or int(stored.zero_points[0]) != codes.zero_point + UNSIGNED
    ):
        raise op.refused("makes uint8 codes on another scale", "let the output's codes be the last layer's, 128 apart")
    net.dequantized[op.outputs[0]] = source


def _read_dequantize(net: Network, op: StoredOperator) -> None:
    source = net.input(op, 0)
    net.output_shape(op, net.shapes[source])
    net.codes(op, source)
    net.dequantized[op.outputs[0]] = net.dequantized.get(source, source)
    axes = net.axes(source)
    name = net.read(source, axes)
    net.emit(op, lambda n, out: Dequantize(n, (name,), out), axes)


def _read_cast(net: Network, op: StoredOperator) -> None:
    """Codes become indices of a table's rows, or the numbers that a normalisation of edgekd's works on."""
    source, output = net.input(op, 0), op.outputs[0]
    net.output_shape(op, net.shapes[source])
    if net.dtype(source) == np.int8 and net.dtype(output) == np.int32:
        net.rows[output] = Rows(source, 0)
    elif net.dtype(source) != np.int8 or net.dtype(output) != np.float32 or not read_normalisation(net, op):
        kinds = " to ".join(net.content.tensors[t].type_name for t in (source, output))
        raise op.refused(f"turns {kinds}", "leave the conversion to QUANTIZE and DEQUANTIZE")


READERS: dict[int, Reader] = {
    Code.QUANTIZE: _read_quantize,
    Code.DEQUANTIZE: _read_dequantize,
    Code.CAST: _read_cast,
}
