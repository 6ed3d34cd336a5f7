"""Softmax over the last axis on int8 codes, in three arithmetics: LiteRT's, TFLite Micro's and onnxruntime's.

All three depend only on how far a code lies below the largest of its row, so the zero point is irrelevant. Their output
has the scale 1/256 and the zero point -128.
"""

import numpy as np

from edgekd.graph.operators.arithmetic import f32, fixed_point, saturate
from edgekd.graph.operators.gemmlowp import ONE, exponential, high_product, rounding_shift, two_over_one_plus
from edgekd.graph.structure import QMIN, Array

STEPS = 256
"""The number of output codes between 0 and 1."""

INTEGER_BITS = 5
"""Integer bits of TFLite Micro's argument of the exponential: values in (-32, 0], in units of 2^-26."""


def exponentials(scale: np.float32) -> Array:
    """LiteRT's table of exponentials, (256,) float32, by how far a code lies below the largest of its row."""
    return expf(-scale * np.arange(STEPS).astype(f32))


def by_table(codes: Array, scale: np.float32) -> Array:
    """Softmax by LiteRT's default kernel: a float32 table of exponentials, summed in order, rounded half up.

    (`Softmax` of tensorflow/lite/kernels/internal/optimized/optimized_ops.h. On aarch64 LiteRT has another.)
    """
    powers = exponentials(scale)[_below_largest(codes)]
    share = powers * (f32(1) / (_in_order(powers) * f32(1 / STEPS)))
    return saturate(np.floor(share + f32(0.5)) + QMIN)


def scaled_exponentials(scale: np.float32, length: int) -> Array:
    """onnxruntime's table of exponentials, (256,) float32, scaled so that the sum of a row does not overflow.

    (contrib_ops/cpu/quantization/qlinear_softmax.cc; the logarithm is taken in single precision, the table in double)
    """
    headroom = np.log(np.float64(np.finfo(f32).max / f32(length))).astype(f32) - 5.0
    highest = np.float64(headroom) / np.float64(scale)  # in steps of the codes
    table: Array = np.exp((highest - np.arange(STEPS)) * np.float64(scale)).astype(f32)
    return table


def by_scaled_table(codes: Array, scale: np.float32) -> Array:
    """Softmax by onnxruntime's QLinearSoftmax: a float32 table, summed in order, rounded half to even."""
    powers = scaled_exponentials(scale, codes.shape[-1])[_below_largest(codes)]
    return saturate(np.rint(powers * f32(STEPS) / _in_order(powers)) + QMIN)


def _in_order(values: Array) -> Array:
    """Sum over the last axis in float32, one value after the other."""
    total: Array = np.cumsum(values, axis=-1, dtype=f32)[..., -1:]
    return total


def fixed_exponentials(scale: float) -> Array:
    """TFLite Micro's table of exponentials, (256,) int64 in units of 2^-31, by the distance below the largest code."""
    mantissa, exponent = fixed_point(np.asarray(min(scale * 2**26, 2.0**31 - 1)))
    farthest = (31 * 2**26) >> int(exponent)  # the exponentials of codes below that are 0
    below = np.arange(STEPS)
    argument = high_product(np.where(below <= farthest, -below, 0) << exponent, mantissa)
    return np.where(below <= farthest, exponential(argument, INTEGER_BITS), 0)


def fixed_reciprocals(total: Array) -> tuple[Array, Array]:
    """The (reciprocal, right shift of its product with an exponential) of sums in units of 2^-19."""
    room = 31 - np.floor(np.log2(total)).astype(np.int64)  # leading zeros
    reciprocal = np.minimum(two_over_one_plus((total << room) - 2**31) << 1, ONE)
    return reciprocal, 12 - room + 31 - 8


def in_fixed_point(codes: Array, scale: float) -> Array:
    """Softmax by TFLite Micro's kernel, with exponentials and a reciprocal in fixed point (Jacob et al., 2018)."""
    table, below = fixed_exponentials(scale), _below_largest(codes)
    reciprocal, shift = fixed_reciprocals(rounding_shift(table, 12)[below].sum(-1, keepdims=True))
    return saturate(rounding_shift(high_product(reciprocal, table[below]), shift) + QMIN)


def expf(x: Array) -> Array:
    """The float32 exponential that glibc, bionic and musl share (ARM's optimized routines), bit for bit.

    It is 2^(k/32) times a cubic in float64, correctly rounded but for one value in two thousand.
    """
    steps = np.float64(32)
    cubic, square, linear = (
        float.fromhex("0x1.c6af84b912394p-5") / steps**3,
        float.fromhex("0x1.ebfce50fac4f3p-3") / steps**2,
        float.fromhex("0x1.62e42ff0c52d6p-1") / steps,
    )
    product = x.astype(np.float64) * (float.fromhex("0x1.71547652b82fep+0") * steps)
    integer = np.rint(product)
    fraction = product - integer
    polynomial = (cubic * fraction + square) * (fraction * fraction) + (linear * fraction + 1)
    power: Array = (polynomial * np.exp2(integer % 32 / 32) * np.exp2(integer // 32)).astype(f32)
    return power


def _below_largest(codes: Array) -> Array:
    """How many steps each code lies below the largest of its row, in [0, 255]."""
    wide = codes.astype(np.int64)
    below: Array = wide.max(-1, keepdims=True) - wide
    return below
