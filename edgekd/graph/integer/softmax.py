"""Softmax over the last axis on int8 codes, in three arithmetics: LiteRT's, TFLite Micro's and onnxruntime's.

All three look only at how far a code lies below the largest of its row, so a zero point plays no part. Their output is
on the scale 1/256 with zero point -128.
"""

import numpy as np

from edgekd.graph.integer.arithmetic import f32, fixed_point, saturated
from edgekd.graph.structure import QMIN, Array

STEPS = 256
"""Of the output, between 0 and 1."""


def by_table(codes: Array, scale: np.float32) -> Array:
    """LiteRT's default kernel: a float32 table of exponentials, summed in order, rounded half away from zero.

    (`Softmax` of tensorflow/lite/kernels/internal/optimized/optimized_ops.h. On aarch64 LiteRT has another.)
    """
    table = expf(-scale * np.arange(STEPS).astype(f32))
    exponentials = table[_below_largest(codes)]
    total = np.cumsum(exponentials, axis=-1, dtype=f32)[..., -1:]
    share = exponentials * (f32(1) / (total * f32(1 / STEPS)))
    return saturated(np.floor(share + f32(0.5)) + QMIN)


def by_integer_table(codes: Array, scale: np.float32) -> Array:
    """onnxruntime's QLinearSoftmax: a table of integers, as large as a sum in 32 bits allows, and integer division."""
    largest = min(float(2**32 - 1) / codes.shape[-1], float(0x7FFFFF))
    table = np.floor(largest * np.exp(-np.arange(STEPS) * np.float64(scale)) + 0.5).astype(np.int64)
    exponentials = table[_below_largest(codes)]
    total = exponentials.sum(-1, keepdims=True)
    return saturated((exponentials * STEPS + (total >> 1)) // total + QMIN)


def in_fixed_point(codes: Array, scale: float) -> Array:
    """TFLite Micro's: exponentials and a reciprocal in gemmlowp's fixed point (Jacob et al., 2018)."""
    mantissa, exponent = fixed_point(np.asarray(min(scale * 2**26, 2.0**31 - 1)))
    farthest = (31 * 2**26) >> exponent  # what lies below that is nothing beside the largest
    below = _below_largest(codes)
    live = below <= farthest
    scaled = _high_product(np.where(live, -below, 0) << exponent, mantissa)
    exponentials = _exponential(scaled)
    total = np.where(live, _shifted_right(exponentials, 12), 0).sum(-1, keepdims=True)
    room = 31 - np.floor(np.log2(total)).astype(np.int64)  # leading zeros
    reciprocal = _one_over_one_plus((total << room) - 2**31)
    shares = _shifted_right(_high_product(reciprocal, exponentials), 12 - room + 31 - 8)
    return np.where(live, saturated(shares + QMIN), np.int8(QMIN))


def expf(x: Array) -> Array:
    """The float32 exponential that glibc, bionic and musl share (ARM's optimized routines), bit for bit.

    2^(k/32) times a cubic, in float64; correctly rounded but for one in two thousand.
    """
    steps = np.float64(32)
    cubic, square, linear = (
        float.fromhex("0x1.c6af84b912394p-5") / steps**3,
        float.fromhex("0x1.ebfce50fac4f3p-3") / steps**2,
        float.fromhex("0x1.62e42ff0c52d6p-1") / steps,
    )
    scaled = x.astype(np.float64) * (float.fromhex("0x1.71547652b82fep+0") * steps)
    whole = np.rint(scaled)
    rest = scaled - whole
    polynomial = (cubic * rest + square) * (rest * rest) + (linear * rest + 1)
    return (polynomial * np.exp2(whole % 32 / 32) * np.exp2(whole // 32)).astype(f32)


def _below_largest(codes: Array) -> Array:
    """How many steps each code lies below the largest of its row, in [0, 255]."""
    wide = codes.astype(np.int64)
    below: Array = wide.max(-1, keepdims=True) - wide
    return below


def _high_product(a: Array, b: Array | int) -> Array:
    """The upper half of a doubled product of int32s, rounded (gemmlowp's SaturatingRoundingDoublingHighMul)."""
    high: Array = (a * b + (1 << 30)) >> 31
    return high


def _shifted_right(x: Array, by: Array | int) -> Array:
    """x / 2^by, rounded half away from zero (gemmlowp's RoundingDivideByPOT)."""
    half = (np.int64(1) << by) >> 1
    shifted: Array = ((np.abs(x) + half) >> by) * np.sign(x)
    return shifted


EXP_MINUS_EIGHTH = 1895147668  # these are in units of 2^-31
ONE_THIRD = 715827883
HALVINGS = (
    (24, 1672461947),  # exp(-1/4), where bit 24 of what is left stands for 1/4
    (25, 1302514674),
    (26, 790015084),
    (27, 290630308),
    (28, 39332535),
    (29, 720401),
    (30, 242),  # exp(-16)
)


def _exponential(x: Array) -> Array:
    """exp(x) in units of 2^-31, for x <= 0 in units of 2^-26: gemmlowp's exp_on_negative_values."""
    quarter = 1 << 24
    within = (x & (quarter - 1)) - quarter  # in [-1/4, 0)
    left = within - x
    # Around -1/8 the Taylor series needs four terms.
    y = (within << 5) + (1 << 28)
    y2 = _high_product(y, y)
    y3, y4 = _high_product(y2, y), _high_product(y2, y2)
    tail = _shifted_right(_high_product(_shifted_right(y4, 2) + y3, ONE_THIRD) + y2, 1)
    result = EXP_MINUS_EIGHTH + _high_product(y + tail, EXP_MINUS_EIGHTH)
    for bit, factor in HALVINGS:
        result = np.where(left & (1 << bit), _high_product(result, factor), result)
    return np.where(x == 0, 2**31 - 1, result)


def _one_over_one_plus(x: Array) -> Array:
    """1 / (1 + x) for x in [0, 1), both in units of 2^-31: gemmlowp's, three steps of Newton and Raphson's division."""
    half_denominator = (x + 2**31) >> 1
    guess = 1515870810 + _high_product(half_denominator, -1010580540)  # 48/17 - 32/17 d, in units of 2^-29
    for _ in range(3):
        error = (1 << 29) - _high_product(half_denominator, guess)
        guess = guess + (_high_product(guess, error) << 2)
    return np.minimum(guess << 1, 2**31 - 1)
