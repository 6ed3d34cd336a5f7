"""Bilinear resizing in the arithmetic of each kernel set, reproduced bit for bit.

XNNPACK weighs codes by 11-bit fractions (s8-ibilinear), TFLite's reference kernel and TFLite Micro by 10-bit ones
whose positions are fixed point too, onnxruntime weighs real values in float32. `blend` and
`round_sums` work on NumPy's arrays and on torch's tensors alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekd.graph.operators.arithmetic import f32, saturate
from edgekd.graph.operators.forms import ReferenceForm, Scales
from edgekd.graph.ops import Resize
from edgekd.graph.structure import Array, Kernels, Operator


@dataclass(frozen=True)
class Taps:
    """For each output position along an axis, the indices of its two input positions and their weights."""

    low: Array
    high: Array
    low_weight: Array
    high_weight: Array


def taps(before: int, after: int, align_corners: bool, kernels: Kernels) -> Taps:
    """The taps along one axis; weights are integers, but float32 for onnxruntime."""
    if kernels == "xnnpack":
        return _xnnpack(before, after, align_corners)
    return _tflite(before, after, align_corners) if kernels == "tflm" else _onnxruntime(before, after, align_corners)


def _xnnpack(before: int, after: int, align_corners: bool) -> Taps:
    at = np.arange(after).astype(f32)
    if align_corners:
        at = at * (f32(before - 1) / f32(after - 1) if after > 1 else f32(before) / f32(after))
    else:
        ratio = f32(before) / f32(after)
        at = at * ratio + (f32(0.5) * ratio - f32(0.5))
    at = np.clip(at, f32(0), f32(before - 1))
    low = at.astype(np.int64)
    weight = np.rint((at - low.astype(f32)) * f32(2048)).astype(np.int64)
    return Taps(low, np.minimum(low + 1, before - 1), 2048 - weight, weight)


def _tflite(before: int, after: int, align_corners: bool) -> Taps:
    ratio = (1024 * before + after // 2) // after
    if align_corners and after > 1:
        ratio = (1024 * (before - 1) + (after - 1) // 2) // (after - 1)
    at = np.arange(after) * ratio + (0 if align_corners else ratio // 2 - 512)
    low = np.clip(at // 1024, 0, before - 1)
    weight = at - 1024 * low
    return Taps(low, np.minimum((at + 1023) // 1024, before - 1), 1024 - weight, weight)


def _onnxruntime(before: int, after: int, align_corners: bool) -> Taps:
    at = np.arange(after).astype(f32)
    if align_corners:
        at = at * f32(before - 1) / f32(after - 1) if after > 1 else at
    else:
        at = (at + f32(0.5)) / onnx_scale(before, after) - f32(0.5)
    at = np.clip(at, f32(0), f32(before - 1))
    low = at.astype(np.int64)
    high = np.minimum(low + 1, before - 1)
    last = low == high
    from_low, from_high = at - low.astype(f32), high.astype(f32) - at
    return Taps(low, high, np.where(last, f32(0.5), from_high), np.where(last, f32(0.5), from_low))


def onnx_scale(before: int, after: int) -> np.float32:
    """The smallest float32 scale that is not below `after / before`, since onnxruntime rounds sizes down."""
    scale = f32(after) / f32(before)
    while float(scale) * before < after:
        scale = np.nextafter(scale, f32(np.inf))
    return f32(scale)


def blend(x: Any, rows: Any, columns: Any) -> Any:
    """Interpolate (N, C, H, W) by the taps along H and W, in the order in which onnxruntime adds."""
    top, bottom = x[:, :, rows.low], x[:, :, rows.high]
    above, below = rows.low_weight[:, None], rows.high_weight[:, None]
    total = (columns.low_weight * above) * top[..., columns.low]
    total = total + (columns.high_weight * above) * top[..., columns.high]
    total = total + (columns.low_weight * below) * bottom[..., columns.low]
    return total + (columns.high_weight * below) * bottom[..., columns.high]


def round_sums(total: Any, kernels: Kernels) -> Any:
    """Round integer weighted sums to codes: half up as XNNPACK does, or half away from zero as TFLite does."""
    if kernels == "xnnpack":
        return (total + (1 << 21)) >> 22
    return ((abs(total) + (1 << 19)) >> 20) * ((total >= 0) * 2 - 1)


def _resize(op: Resize, scales: Scales, inputs: list[Array], kernels: Kernels) -> Array:
    (before_h, before_w), (height, width) = inputs[0].shape[2:], scales.tensors[op.output].shape[1:]
    rows, columns = (
        taps(before, after, op.align_corners, kernels) for before, after in ((before_h, height), (before_w, width))
    )
    if kernels != "onnxruntime":
        return saturate(round_sums(blend(inputs[0].astype(np.int64), rows, columns), kernels))
    q = scales.quantization(op.output)
    values = (inputs[0].astype(np.int32) - q.zero_point).astype(f32) * f32(q.scale)
    return saturate(np.rint(blend(values, rows, columns) / f32(q.scale)) + q.zero_point)


REFERENCE: dict[type[Operator], ReferenceForm] = {Resize: _resize}
