"""Scales, roundings and saturation that the kernels of all operators share."""

import numpy as np

from edgekd.graph.structure import QMAX, QMIN, Array, Bits, Kernels, Quantization, Weighted

f32 = np.float32


def quantize(x: Array, quantization: Quantization) -> Array:
    """Convert float32 values to codes, rounded half to even and saturated."""
    steps = np.rint(x.astype(f32) / f32(quantization.scale)) + quantization.zero_point
    return saturate(steps, quantization.lowest, quantization.highest, quantization.bits)


def dequantize(codes: Array, quantization: Quantization) -> Array:
    """Convert codes to float32 values."""
    values: Array = (codes.astype(np.int32) - quantization.zero_point).astype(f32) * f32(quantization.scale)
    return values


def quantize_as(values: Array, output: Quantization, kernels: Kernels) -> Array:
    """Convert real values to int8 codes as a runtime's own QUANTIZE does.

    onnxruntime divides by the scale and rounds half to even; XNNPACK multiplies by the scale's inverse; TFLite Micro
    divides and rounds half away from zero.
    """
    scale = f32(output.scale)
    if kernels == "xnnpack":
        steps = np.rint(values * (f32(1) / scale))
    elif kernels == "onnxruntime":
        steps = np.rint(values / scale)
    else:
        quotient = values / scale
        steps = np.trunc(np.abs(quotient.astype(np.float64)) + 0.5) * np.sign(quotient)
    return saturate(steps + output.zero_point)


def requantize(acc: Array, multiplier: Array, output: Quantization, low: int, high: int) -> Array:
    """Convert integer accumulators to int8 codes by a float32 product, rounded half to even."""
    return saturate(np.rint(acc.astype(f32) * multiplier) + output.zero_point, low, high)


def saturate(codes: Array, low: int = QMIN, high: int = QMAX, bits: Bits = 8) -> Array:
    """Clamp codes to [low, high] and convert them to int8, or to int16."""
    saturated: Array = np.clip(codes, low, high).astype(np.int8 if bits == 8 else np.int16)
    return saturated


def fixed_point(ratio: Array) -> tuple[Array, Array]:
    """The (mantissa, exponent) of a float64 ratio in gemmlowp's form: ratio = mantissa * 2^(exponent - 31).

    The mantissa is an int32 of 31 bits.

    TFLite and TFLite Micro compute the ratio in double precision from the float32 scales in the file.
    """
    fraction, exponent = np.frexp(np.asarray(ratio, np.float64))
    mantissa = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    exponent = np.where(mantissa == 2**31, exponent + 1, exponent)
    mantissa = np.where(mantissa == 2**31, 2**30, mantissa)
    vanishes = exponent < -31
    return np.where(vanishes, 0, mantissa), np.where(vanishes, 0, exponent).astype(np.int64)


def round_twice(acc: Array, mantissa: Array, exponent: Array) -> Array:
    """Multiply integers by a fixed-point ratio and round twice, as TFLite Micro and TFLite's reference kernels do.

    The upper half of the product is rounded half up (SaturatingRoundingDoublingHighMul), then the shift to the right
    half away from zero (RoundingDivideByPOT), after gemmlowp's fixedpoint.h. A shift to the left overflows an int32 as
    theirs does.
    """
    left, right = np.maximum(exponent, 0), np.maximum(-exponent, 0)
    operand = (acc.astype(np.int64) << left).astype(np.int32).astype(np.int64)
    high = (operand * mantissa + (1 << 30)) >> 31
    half = (np.int64(1) << right) >> 1
    result: Array = ((np.abs(high) + half) >> right) * np.sign(high)
    return result


def round_in_16_bits(acc: Array, mantissa: Array, exponent: Array) -> Array:
    """Multiply 64-bit accumulators by the upper 16 bits of a fixed-point ratio, and round once, half up.

    TFLite's kernels for int16 activations rescale in this way (MultiplyByQuantizedMultiplier for int64).
    """
    upper = np.minimum((mantissa + (1 << 15)) >> 16, 2**15 - 1)
    shift = 15 - exponent
    result: Array = (acc.astype(np.int64) * upper + (np.int64(1) << (shift - 1))) >> shift
    return result


def multiplier(op: Weighted, source: Quantization, output: Quantization) -> Array:
    """The float32 ratio input_scale * weight_scale / output_scale of each output channel, (out,)."""
    assert op.weight_scale is not None
    ratio = (f32(source.scale) * op.weight_scale.astype(f32)) / f32(output.scale)
    return np.broadcast_to(ratio, len(op.bias))


def fixed_point_add(a: Quantization, b: Quantization, output: Quantization) -> tuple[int, int, int]:
    """The (multiplier of a, multiplier of b, right shift) of XNNPACK's qs8-vadd; the larger multiplier has 21 bits."""
    ratio_a, ratio_b = f32(a.scale) / f32(output.scale), f32(b.scale) / f32(output.scale)
    shift = 20 - int(np.floor(np.log2(max(ratio_a, ratio_b))))
    return int(np.rint(np.ldexp(np.float64(ratio_a), shift))), int(np.rint(np.ldexp(np.float64(ratio_b), shift))), shift


def float_add(a: Quantization, b: Quantization, output: Quantization) -> tuple[float, float, float]:
    """The (ratio of a, ratio of b, constant) of onnxruntime's QLinearAdd on x86, whose zero points are uint8's.

    The compiler contracts one product of the constant into a fused multiply-add; float64 stands in for that.
    """
    ratio_a, ratio_b = f32(a.scale) / f32(output.scale), f32(b.scale) / f32(output.scale)
    zero_a, zero_b, zero = (f32(q.zero_point - QMIN) for q in (a, b, output))
    inner = f32(np.float64(ratio_a) * np.float64(zero_a) + np.float64(ratio_b * zero_b))
    return float(ratio_a), float(ratio_b), float(zero - inner)
