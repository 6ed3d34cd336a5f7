"""The TFLite forms of functions of one value: TFLite's own operators, or lookups in a table where it has none."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.tflite.flatbuffer import Code, FlatbufferFile, Writer
from edgekd.formats.tflite.packing import TYPES
from edgekd.graph.operators.unary import ALPHA_ONE
from edgekd.graph.ops import Unary
from edgekd.graph.structure import QMIN, Operator, Tensor

BUILT_IN = {
    "sigmoid": (Code.LOGISTIC, 2),
    "tanh": (Code.TANH, 2),
    "hard_swish": (Code.HARD_SWISH, 1),
    "leaky_relu": (Code.LEAKY_RELU, 2),
    "elu": (Code.ELU, 1),
    "gelu": (Code.GELU, 2),
    "gelu_tanh": (Code.GELU, 2),
}
"""The operator of each function, and its version in int8."""


class _Chain:
    """Adds operators one after the other, on tensors with the shape in which the inputs of `op` are stored."""

    def __init__(self, file: FlatbufferFile, op: Unary) -> None:
        self.file, self.op = file, op
        (self.source,) = file.operands(op)
        self.shape = file.operand_forms[op.output].shape

    def apply(self, code: int, inputs: list[int], options: Any = None, like: Tensor | None = None) -> int:
        """Add an operator and return the index of its output, of real values or with the type and scale of `like`."""
        name = f"{self.op.name}/{len(self.file.parts.tensors)}"
        output = self.file.activation(like or Tensor(name, self.shape), name, self.shape)
        self.file.operator(code, 1, inputs, output, options)
        return output


def _write_unary(file: FlatbufferFile, op: Unary) -> None:
    if op.table is not None:
        _write_table(file, op)
    elif op.real and file.graph.tensors[op.output].quantization is not None:
        _write_on_reals(file, op)
    elif op.function in BUILT_IN and (op.function not in ALPHA_ONE or op.alpha == 1):
        code, version = BUILT_IN[op.function]
        file.operator(code, file.version(op, version), file.operands(op), file.output(op), _options(op))
    elif op.function in ("softplus", "mish"):
        _write_softplus_or_mish(file, op)
    else:
        raise UnsupportedOperatorError(
            f"layer {op.name} ({op.function}, {op.source}): TFLite has it for alpha = 1, not {op.alpha:g}",
            "alpha = 1",
        )


def _options(op: Unary) -> Any:
    if op.function == "leaky_relu":
        slope = schema.LeakyReluOptionsT()
        slope.alpha = op.alpha
        return slope
    if "gelu" in op.function:
        form = schema.GeluOptionsT()
        form.approximate = op.function == "gelu_tanh"
        return form
    return None


def _write_table(file: FlatbufferFile, op: Unary) -> None:
    """Write a GATHER of the table's rows, whose indices are the codes plus 128."""
    chain = _Chain(file, op)
    index = Tensor("", chain.shape, kind="index")
    cast, add, gather = schema.CastOptionsT(), schema.AddOptionsT(), schema.GatherOptionsT()
    cast.inDataType, cast.outDataType = TYPES[np.dtype(np.int8)], TYPES[np.dtype(np.int32)]
    codes = chain.apply(Code.CAST, [chain.source], cast, index)
    first = file.constant(f"{op.name}/first", np.array([-QMIN], np.int32))
    rows = chain.apply(Code.ADD, [codes, first], add, index)
    table = file.constant(f"{op.name}/table", op.table, file.scale_of(op.output))  # type: ignore[arg-type]
    file.operator(Code.GATHER, 2, [table, rows], file.output(op), gather)


def _write_on_reals(file: FlatbufferFile, op: Unary) -> None:
    chain = _Chain(file, op)
    values = chain.apply(Code.DEQUANTIZE, [chain.source], schema.DequantizeOptionsT())
    result = chain.apply(BUILT_IN[op.function][0], [values], _options(op))
    file.operator(Code.QUANTIZE, 1, [result], file.output(op), schema.QuantizeOptionsT())


def _write_softplus_or_mish(file: FlatbufferFile, op: Unary) -> None:
    """Write softplus(x) = log(1 + exp(x)), or mish(x) = x tanh(softplus(x)), in float32."""
    chain = _Chain(file, op)
    one = file.constant(f"{op.name}/one", np.ones(1, np.float32))
    exponential = chain.apply(Code.EXP, [chain.source])
    more = chain.apply(Code.ADD, [exponential, one], schema.AddOptionsT())
    if op.function == "softplus":
        file.operator(Code.LOG, 1, [more], file.output(op))
        return
    gate = chain.apply(Code.TANH, [chain.apply(Code.LOG, [more])])
    file.operator(Code.MUL, 1, [chain.source, gate], file.output(op), schema.MulOptionsT())


WRITERS: dict[type[Operator], Writer] = {Unary: _write_unary}
