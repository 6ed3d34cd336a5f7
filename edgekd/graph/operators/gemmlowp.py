"""Sigmoid, tanh and hard-swish in 32- and 16-bit fixed point, as gemmlowp and TFLite's reference kernels compute them.

Integers hold values in units of a power of two, which each docstring names; products keep their upper half.
(fixedpoint.h of gemmlowp; integer_ops/logistic.h, tanh.h and hard_swish.h of TFLite's reference kernels)
"""

from typing import Any

import numpy as np

from edgekd.graph.operators.arithmetic import fixed_point, round_twice
from edgekd.graph.structure import QMAX, QMIN, Array, Quantization

ONE = 2**31 - 1
"""The largest int32, which stands for 1 in units of 2^-31."""

EXP_MINUS_EIGHTH, ONE_THIRD = 1895147668, 715827883  # in units of 2^-31
HALVINGS = (
    (-2, 1672461947),  # exp(-2^-2): one factor for each bit of the exponent
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
INTEGER_BITS = 4
"""Integer bits of the arguments of sigmoid and tanh: values in [-16, 16), in units of 2^-27."""


def sigmoid_or_tanh(function: str, codes: Array, source: Quantization) -> Array:
    """Sigmoid of int8 codes on the scale 1/256, or tanh on 1/128; beyond 15 both are saturated."""
    fraction, exponent = np.frexp(source.scale * 2.0 ** (31 - INTEGER_BITS))
    mantissa = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    farthest = np.floor(15.0 * 2 ** (31 - INTEGER_BITS) / 2.0**exponent)
    difference = codes.astype(np.int64) - source.zero_point
    inside = np.abs(difference) < farthest
    x = round_twice(np.where(inside, difference, 0), mantissa, exponent)
    steps = rounding_shift(_sigmoid(x), 31 - 8) + QMIN if function == "sigmoid" else rounding_shift(_tanh(x), 31 - 7)
    ends = np.where(difference < 0, QMIN, QMAX)
    ends = np.where((difference == 0) & ~inside, QMIN, ends)  # a scale of 16 and more leaves nothing inside
    return np.where(inside, np.clip(steps, QMIN, QMAX), ends)


def hard_swish(codes: Array, source: Quantization, output: Quantization, *, ratio: type[np.floating[Any]]) -> Array:
    """Hard-swish, x * relu6(x + 3) / 6, of int8 codes, in 16 bits.

    Args:
        ratio: the precision in which scales are divided: LiteRT's is single, TFLite Micro's double.
    """
    finer = ratio(np.float32(1 / 128) * np.float32(source.scale))
    by_output, shift = _in_16_bits(float(finer / ratio(output.scale)))
    by_three, exponent = _in_16_bits(float(finer / ratio(np.float32(3 / 32768))))
    x = (codes.astype(np.int64) - source.zero_point) << 7
    value = _high_product_16(x, by_output)
    gate = _saturate_16(x << max(exponent - 1, 0))
    gate = _high_product_16(gate, by_three)
    gate = _saturate_16(gate << 1) if exponent > 0 else rounding_shift(gate, -exponent)
    gate = (gate + (1 << 15)) >> 1  # from [-1, 1) to [0, 1)
    product = gate * value
    product = _saturate_16((np.abs(product) >> 15) * np.sign(product))
    steps: Array = rounding_shift(product, -shift) + output.zero_point
    return steps


def _sigmoid(x: Array) -> Array:
    """Sigmoid in units of 2^-31, for x in units of 2^-27."""
    of_negative = np.minimum(two_over_one_plus(exponential(-np.abs(x), INTEGER_BITS)) << 1, ONE)
    result = np.where(x > 0, of_negative, ONE - of_negative)
    sigmoid: Array = np.where(x == 0, 1 << 30, result)
    return sigmoid


def _tanh(x: Array) -> Array:
    """Tanh in units of 2^-31, for x in units of 2^-27: (1 - e) / (1 + e), where e = exp(-2 |x|)."""
    twice = two_over_one_plus(exponential(-np.abs(x), INTEGER_BITS + 1))  # a doubled unit is the factor 2
    size = np.clip((twice - (1 << 29)) << 2, 0, ONE)
    return np.where(x == 0, 0, np.where(x < 0, -size, size))


def exponential(x: Array, integer_bits: int) -> Array:
    """Compute exp(x) in units of 2^-31, for x <= 0 in units of 2^(integer_bits - 31)."""
    unit = 31 - integer_bits
    quarter = 1 << (unit - 2)
    within = (x & (quarter - 1)) - quarter  # in [-1/4, 0)
    remainder = within - x
    # Around -1/8 the Taylor series needs four terms.
    y = (within << integer_bits) + (1 << 28)
    y2 = high_product(y, y)
    y3, y4 = high_product(y2, y), high_product(y2, y2)
    tail = rounding_shift(high_product(rounding_shift(y4, 2) + y3, ONE_THIRD) + y2, 1)
    result = EXP_MINUS_EIGHTH + high_product(y + tail, EXP_MINUS_EIGHTH)
    for power, factor in HALVINGS:
        if power < integer_bits:
            result = np.where(remainder & (1 << (unit + power)), high_product(result, factor), result)
    return np.where(x == 0, ONE, result)


def two_over_one_plus(x: Array) -> Array:
    """Compute 2 / (1 + x) in units of 2^-29, for x in [0, 1] in units of 2^-31, by Newton-Raphson division."""
    half_denominator = (x + ONE + 1) >> 1
    guess = 1515870810 + high_product(half_denominator, -1010580540)  # 48/17 - 32/17 d
    for _ in range(3):
        error = (1 << 29) - high_product(half_denominator, guess)
        guess = guess + (high_product(guess, error) << 2)
    return guess


def _in_16_bits(ratio: float) -> tuple[int, int]:
    """The (mantissa in units of 2^-15, exponent) of a ratio."""
    mantissa, exponent = fixed_point(np.asarray(ratio))
    return min((int(mantissa) + (1 << 15)) >> 16, 2**15 - 1), int(exponent)


def high_product(a: Array, b: Any) -> Array:
    """Multiply int32s and keep the upper half of twice the product, rounded half up.

    This is gemmlowp's SaturatingRoundingDoublingHighMul, without its saturation, which no value here reaches.
    """
    high: Array = (a * b + (1 << 30)) >> 31
    return high


def _high_product_16(a: Array, b: int) -> Array:
    """Multiply int16s and keep the upper half of twice the product, rounded half up and saturated."""
    return _saturate_16((a * b + (1 << 14)) >> 15)


def _saturate_16(x: Array) -> Array:
    return np.clip(x, -(2**15), 2**15 - 1)


def rounding_shift(x: Array, by: Array | int) -> Array:
    """Divide by 2^by, rounded half away from zero (gemmlowp's RoundingDivideByPOT)."""
    quotient: Array = ((np.abs(x) + ((1 << by) >> 1)) >> by) * np.sign(x)
    return quotient
