"""Gives the reader of files the readers of functions of one value, such as LOGISTIC and TANH."""

from math import isfinite

from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator, damage_error
from edgekd.formats.tflite.reading.file_tensors import Code
from edgekd.formats.tflite.reading.network import Network, Reader
from edgekd.graph.ops import SATURATING, Unary

FUNCTIONS = {
    Code.LOGISTIC: "sigmoid",
    Code.TANH: "tanh",
    Code.HARD_SWISH: "hard_swish",
    Code.LEAKY_RELU: "leaky_relu",
    Code.ELU: "elu",
    Code.GELU: "gelu",
}


def _read_unary(net: Network, op: StoredOperator) -> None:
    function, alpha, source = FUNCTIONS[op.code], 0.0, net.input(op, 0)
    if op.code == Code.LEAKY_RELU:
        alpha = float(op.options(schema.LeakyReluOptionsT).alpha)
        if not isfinite(alpha):
            raise damage_error(f"{op} has the slope {alpha}")
    elif op.code == Code.ELU:
        alpha = 1.0
    elif op.code == Code.GELU and op.options(schema.GeluOptionsT).approximate:
        function = "gelu_tanh"
    codes = net.quantization(op.outputs[0])
    fixed = SATURATING.get(function)
    if codes is not None and codes.bits == 8 and fixed not in (None, codes):
        raise op.refusal(
            f"has an output on the scale {codes.scale:g} with the zero point {codes.zero_point}",
            f"convert it anew: the 8-bit specification demands {fixed.scale:g} and {fixed.zero_point}",
        )
    if codes is not None and codes.bits == 16:
        raise op.refusal("works on 16-bit codes", "8-bit activations")
    net.output_shape(op, net.shapes[source])
    axes = net.axes(source)
    name = net.read(source, axes)
    net.emit(op, lambda n, out: Unary(n, (name,), out, function, alpha), axes)


READERS: dict[int, Reader] = dict.fromkeys(FUNCTIONS, _read_unary)
