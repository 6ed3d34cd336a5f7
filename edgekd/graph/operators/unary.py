"""Functions of one value as tables of 256 codes, each entry as the kernel set computes it."""

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
    """Softplus, which is x itself beyond 20, as in torch."""
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
"""function -> (float64 values, alpha) -> float64 values. Alpha is the slope of leaky_relu below zero, and -alpha the
limit of elu there."""

OWN: dict[Kernels, frozenset[str]] = {
    "xnnpack": frozenset({"sigmoid", "tanh", "hard_swish", "leaky_relu", "elu", "gelu", "gelu_tanh"}),
    "tflm": frozenset({"sigmoid", "tanh", "hard_swish", "leaky_relu", "elu"}),
    "onnxruntime": frozenset(mlas.FUNCTIONS),
}
"""The functions that the kernels compute themselves; for others the file holds a table."""

ALPHA_ONE = ("elu",)
"""The functions that TFLite's kernels have for an alpha of 1 alone."""

REAL: dict[Kernels, frozenset[str]] = {"xnnpack": frozenset({"hard_swish"})}
"""The functions that are faster between DEQUANTIZE and QUANTIZE: XNNPACK fuses these three into a table (0.14 ns a
value on a host), while integer HARD_SWISH runs on LiteRT's built-in kernel (3.6 ns)."""


def shipped(op: Unary, source: Quantization, output: Quantization, kernels: Kernels) -> Unary:
    """The operator of the exported file: the kernels' own function, on codes or real values, or with a table."""
    if op.table is not None or op.real:
        return op
    other_alpha = kernels != "onnxruntime" and op.function in ALPHA_ONE and op.alpha != 1
    if other_alpha or op.function not in OWN[kernels]:
        return replace(op, table=_table("", op.function, op.alpha, source, output))
    return replace(op, real=op.function in REAL.get(kernels, ()))


def table(op: Unary, source: Quantization, output: Quantization, kernels: Kernels | Literal["litert"]) -> Array:
    """The (256,) int8 output codes for the input codes from -128 on, of the operator of an exported file.

    An ONNX file has a table for functions that onnxruntime lacks, whatever kernels the graph was trained for.

    Args:
        kernels: a kernel set, or "litert" for LiteRT without XNNPACK.
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
    """The table as `kernels` compute it, or the table of an exported file for ""."""
    if kernels == "onnxruntime":
        x = _real(source)
        steps = np.rint(mlas.FUNCTIONS[function](x, alpha) / f32(output.scale)) + output.zero_point
    elif kernels and function == "hard_swish":
        steps = gemmlowp.hard_swish(CODES, source, output, ratio=np.float64 if kernels == "tflm" else f32)
    elif kernels and function == "leaky_relu":
        steps = _leaky_relu(alpha, source, output, kernels) + output.zero_point
    elif kernels == "tflm" and function in ("sigmoid", "tanh"):
        steps = gemmlowp.sigmoid_or_tanh(function, CODES, source)
    else:
        steps = _by_float(function, alpha, source, output, kernels)
    codes = saturate(steps)
    codes.setflags(write=False)
    return codes


def _hard_swish_of_reals(source: Quantization, output: Quantization, kernels: Kernels) -> Array:
    """Hard-swish between DEQUANTIZE and QUANTIZE, by XNNPACK's float32 kernel or by TFLite's."""
    x = _real(source)
    values = mlas.hard_swish(x) if kernels == "xnnpack" else x * np.clip(x + f32(3), f32(0), f32(6)) / f32(6)
    return quantize_as(values, output, kernels)


def _real(source: Quantization) -> Array:
    values: Array = (CODES - source.zero_point).astype(f32) * f32(source.scale)
    return values


def _by_float(function: str, alpha: float, source: Quantization, output: Quantization, kernels: str) -> Array:
    """The output codes of a function that is computed in float32 and multiplied by the reciprocal of the scale.

    XNNPACK adds the zero point and rounds half to even. TFLite's own tables round half away from zero
    (`LUTPopulate`), and so do those of exported files.
    """
    x = _real(source)
    own = kernels == "xnnpack" and "gelu" not in function
    if kernels and not own and function in STEPS:
        values = STEPS[function](x)
    elif function == "tanh":
        values = _tanhf(x)
    else:
        values = FUNCTIONS[function](x.astype(np.float64), alpha).astype(f32)
    steps = values * (f32(1) / f32(output.scale))
    if own:
        codes: Array = np.rint(steps + f32(output.zero_point))
        return codes
    return np.copysign(np.floor(np.abs(steps.astype(np.float64)) + 0.5), steps) + output.zero_point


def _tanhf(x: Array) -> Array:
    """The float32 tanh of C libraries, which Sun's fdlibm computes by expm1 of 2 |x|."""
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
"""The functions as the kernels of TFLite and TFLite Micro compute them, each step in float32."""


def _expf(x: Array) -> Array:
    return np.exp(np.minimum(x, f32(88)).astype(np.float64)).astype(f32)


def _erfcf(x: Array) -> Array:
    complement: Array = special.erfc(x.astype(np.float64)).astype(f32)
    return complement


def _leaky_relu(alpha: float, source: Quantization, output: Quantization, kernels: str) -> Array:
    """The output codes of leaky ReLU minus the zero point.

    XNNPACK's multipliers have 8 fractional bits; where one is out of range, TFLite's kernel runs.
    """
    difference: Array = CODES - source.zero_point
    above = f32(source.scale) / f32(output.scale)
    below = above * f32(alpha)
    if kernels == "xnnpack" and 2**-8 <= above <= 2**7 and -(2**7) + 2**-8 <= below <= 2**7 and abs(below) >= 2**-8:
        multiplier: Array = np.rint(f32(256) * np.where(difference < 0, below, above)).astype(np.int64)
        steps: Array = (difference * multiplier + 128) >> 8
        return steps
    ratio = np.float64 if kernels == "tflm" else f32  # the precision of TFLite Micro's ratios, and of LiteRT's
    slope = np.where(difference < 0, ratio(f32(alpha)), ratio(1))
    return round_twice(difference, *fixed_point(ratio(source.scale) * slope / ratio(output.scale)))


def _unary(op: Unary, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    return _look_up(table(op, *_ends(op, scales), kernels), inputs[0])


def _ends(op: Unary, scales: Scales) -> tuple[Quantization, Quantization]:
    return scales.quantization(op.inputs[0]), scales.quantization(op.output)


def _look_up(table: Array, codes: Array) -> Array:
    result: Array = table[codes.astype(np.int64) - QMIN]
    return result


def _unary_as_litert(op: Unary, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    """Look up the table of LiteRT's reference kernels, which is float32 for sigmoid and tanh, unlike TFLite Micro's."""
    return _look_up(table(op, *_ends(op, scales), "litert"), inputs[0])


REFERENCE: dict[type[Operator], ReferenceForm] = {Unary: _unary}

LITERT_REFERENCE: dict[type[Operator], ReferenceForm] = {Unary: _unary_as_litert}
"""The operators in which LiteRT's reference kernels differ from TFLite Micro's."""
