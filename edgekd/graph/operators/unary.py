"""Functions of one value as tables of 256 codes, entry for entry what the named kernels compute."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from edgekd.graph.operators import gemmlowp, mlas
from edgekd.graph.operators.arithmetic import f32, fixed_point, quantize_as, round_twice, saturate
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import Unary
from edgekd.graph.structure import QMAX, QMIN, Array, Kernels, Operator, Quantization

CODES = np.arange(QMIN, QMAX + 1)


def _softplus(x: Array) -> Array:
    """Beyond 20, where float64 is all but x itself, as torch has it."""
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


FUNCTIONS: dict[str, Callable[[Array, float], Array]] = {
    "sigmoid": lambda x, alpha: special.expit(x),
    "tanh": lambda x, alpha: np.tanh(x),
    "hard_swish": lambda x, alpha: x * np.clip(x + 3, 0, 6) / 6,
    "gelu": lambda x, alpha: 0.5 * x * (1 + special.erf(x * math.sqrt(0.5))),
    "gelu_tanh": lambda x, alpha: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))),
    "leaky_relu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
    "softplus": lambda x, alpha: _softplus(x),
    "mish": lambda x, alpha: x * np.tanh(_softplus(x)),
}
"""function -> (float64 values, alpha) -> float64 values. Alpha is leaky_relu's slope below zero; elu comes close to
-alpha there."""

OWN: dict[Kernels, frozenset[str]] = {
    "xnnpack": frozenset({"sigmoid", "tanh", "hard_swish", "leaky_relu", "elu", "gelu", "gelu_tanh"}),
    "tflm": frozenset({"sigmoid", "tanh", "hard_swish", "leaky_relu", "elu"}),
    "onnxruntime": frozenset(mlas.FUNCTIONS),
}
"""The functions that the kernels compute themselves; the tables of others are shipped."""

ALPHA_ONE = ("elu",)
"""TFLite's kernels know these for an alpha of 1 alone."""

REAL: dict[Kernels, frozenset[str]] = {"xnnpack": frozenset({"hard_swish"})}
"""The functions that are faster between DEQUANTIZE and QUANTIZE: XNNPACK makes a table of those three (0.14 ns a value
on a host), and leaves the integer kernel of HARD_SWISH to LiteRT (3.6 ns)."""


def shipped(op: Unary, source: Quantization, output: Quantization, kernels: Kernels) -> Unary:
    """The operator as it ships for some kernels: its own, on real values, or with its table."""
    if op.table is not None or op.real:
        return op
    stretched = kernels != "onnxruntime" and op.function in ALPHA_ONE and op.alpha != 1
    if stretched or op.function not in OWN[kernels]:
        return replace(op, table=_table("", op.function, op.alpha, source, output))
    return replace(op, real=op.function in REAL.get(kernels, ()))


def table(op: Unary, source: Quantization, output: Quantization, kernels: Kernels | Literal["litert"]) -> Array:
    """(256,) int8, by the code of the input from -128 on, of an operator as it ships; "litert" without XNNPACK.

    An ONNX file has a table for what onnxruntime lacks, whatever kernels the graph was trained for.
    """
    if kernels == "onnxruntime":
        op = shipped(op, source, output, kernels)
    if op.table is not None:
        return op.table
    if op.real and kernels != "onnxruntime":
        return _hard_swish_of_reals(source, output, "xnnpack" if kernels == "xnnpack" else "tflm")
    return _table(kernels, op.function, op.alpha, source, output)


@lru_cache(maxsize=1024)
def _table(kernels: str, function: str, alpha: float, source: Quantization, output: Quantization) -> Array:
    """The table as `kernels` compute it; "" for one that ships."""
    if kernels == "onnxruntime":
        x = _real(source)
        steps = np.rint(mlas.FUNCTIONS[function](x, alpha) / f32(output.scale)) + output.zero_point
    elif kernels and function == "hard_swish":
        steps = gemmlowp.hard_swish(CODES, source, output, ratio=np.float64 if kernels == "tflm" else f32)
    elif kernels and function == "leaky_relu":
        steps = _leaky_relu(alpha, source, output, kernels) + output.zero_point
    elif kernels == "tflm" and function in ("sigmoid", "tanh"):
        steps = gemmlowp.saturating(function, CODES, source)
    else:
        steps = _by_float(function, alpha, source, output, kernels)
    codes = saturate(steps)
    codes.setflags(write=False)
    return codes


def _hard_swish_of_reals(source: Quantization, output: Quantization, kernels: Kernels) -> Array:
    """XNNPACK's float32 kernel, or TFLite's."""
    x = _real(source)
    values = mlas.hard_swish(x) if kernels == "xnnpack" else x * np.clip(x + f32(3), f32(0), f32(6)) / f32(6)
    return quantize_as(values, output, kernels)


def _real(source: Quantization) -> Array:
    values: Array = (CODES - source.zero_point).astype(f32) * f32(source.scale)
    return values


def _by_float(function: str, alpha: float, source: Quantization, output: Quantization, kernels: str) -> Array:
    """In float32, times the reciprocal of the scale.

    XNNPACK adds the zero point and rounds half to even. TFLite's own tables round half away from zero
    (`LUTPopulate`), and so do those that ship.
    """
    x = _real(source)
    own = kernels == "xnnpack" and "gelu" not in function
    if kernels and not own and function in STEPS:
        values = STEPS[function](x)
    elif function == "tanh":
        values = _tanhf(x)
    else:
        values = FUNCTIONS[function](x.astype(np.float64), alpha).astype(f32)
    scaled = values * (f32(1) / f32(output.scale))
    if own:
        rounded: Array = np.rint(scaled + f32(output.zero_point))
        return rounded
    return np.copysign(np.floor(np.abs(scaled.astype(np.float64)) + 0.5), scaled) + output.zero_point


def _tanhf(x: Array) -> Array:
    """The float32 tanh that C libraries have from Sun's fdlibm: by expm1 of 2 |x|."""
    twice = f32(2) * np.minimum(np.abs(x), f32(22))  # where it has long been 1
    up, down = (np.expm1(sign * twice.astype(np.float64)).astype(f32) for sign in (1, -1))
    size = np.where(twice >= 2, f32(1) - f32(2) / (up + f32(2)), -down / (down + f32(2)))
    return np.copysign(size, x)


STEPS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda x: f32(1) / (f32(1) + _expf(-x)),
    "elu": lambda x: np.where(x < 0, _expf(np.minimum(x, 0)) - f32(1), x),
    "gelu": lambda x: f32(0.5) * x * _erfcf(x * f32(-math.sqrt(0.5))),
    "gelu_tanh": lambda x: (
        f32(0.5) * x * (f32(1) + _tanhf((x + f32(0.044715) * x * x * x) * f32(math.sqrt(2 / math.pi))))
    ),
}
"""Functions as the kernels of TFLite and TFLite Micro spell them out, each step in float32."""


def _expf(x: Array) -> Array:
    return np.exp(np.minimum(x, f32(88)).astype(np.float64)).astype(f32)


def _erfcf(x: Array) -> Array:
    complement: Array = special.erfc(x.astype(np.float64)).astype(f32)
    return complement


def _leaky_relu(alpha: float, source: Quantization, output: Quantization, kernels: str) -> Array:
    """Less the zero point. XNNPACK's multipliers have 8 bits after the point; it leaves steep ones to TFLite."""
    centred: Array = CODES - source.zero_point
    above = f32(source.scale) / f32(output.scale)
    below = above * f32(alpha)
    if kernels == "xnnpack" and 2**-8 <= above <= 2**7 and -(2**7) + 2**-8 <= below <= 2**7 and abs(below) >= 2**-8:
        multiplier: Array = np.rint(f32(256) * np.where(centred < 0, below, above)).astype(np.int64)
        rounded: Array = (centred * multiplier + 128) >> 8
        return rounded
    ratio = np.float64 if kernels == "tflm" else f32  # the precision of TFLite Micro's ratios, and of LiteRT's
    slope = np.where(centred < 0, ratio(f32(alpha)), ratio(1))
    return round_twice(centred, *fixed_point(ratio(source.scale) * slope / ratio(output.scale)))


def _unary(op: Unary, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return _look_up(table(op, *_ends(op, scales), kernels), inputs[0])


def _ends(op: Unary, scales: Scales) -> tuple[Quantization, Quantization]:
    return scales.quantization(op.inputs[0]), scales.quantization(op.output)


def _look_up(table: Array, codes: Array) -> Array:
    result: Array = table[codes.astype(np.int64) - QMIN]
    return result


def _unary_as_litert(op: Unary, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    """Sigmoid and tanh by a float32 table too, where TFLite Micro computes in fixed point."""
    return _look_up(table(op, *_ends(op, scales), "litert"), inputs[0])


REFERENCE: dict[type[Operator], ReferenceForm] = {Unary: _unary}

LITERT_REFERENCE: dict[type[Operator], ReferenceForm] = {Unary: _unary_as_litert}
"""Where LiteRT's reference kernels part from TFLite Micro's."""
