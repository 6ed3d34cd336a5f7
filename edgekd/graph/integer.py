"""The integer reference: executes a quantised graph in NumPy, bit for bit as a named runtime's kernels do.

Accumulators are exact integers. Rescaling is in float32 and rounds half to even, as XNNPACK and onnxruntime's MLAS do.
The two part at ADD (XNNPACK adds in fixed point, onnxruntime by fused multiply-adds in float32) and at average pools
(TFLite rounds the integer mean half away from zero, onnxruntime averages floats); `Kernels` names the one to follow.
"""

from collections.abc import Callable, Iterator

import numpy as np

from edgekd.graph.ops import (
    QMAX,
    QMIN,
    Add,
    Array,
    AveragePool2d,
    Conv2d,
    GlobalAveragePool,
    Graph,
    Kernels,
    Linear,
    MaxPool2d,
    Operator,
    Pad,
    Quantization,
    Relu,
    Reshape,
    Slice,
    Weighted,
    activation_range,
    convolved,
)

f32 = np.float32


def quantize(x: Array, quantization: Quantization) -> Array:
    """float32 values to int8 codes: round half to even, saturate."""
    return _saturated(np.rint(x.astype(f32) / f32(quantization.scale)) + quantization.zero_point)


def dequantize(codes: Array, quantization: Quantization) -> Array:
    """int8 codes to float32 values."""
    values: Array = (codes.astype(np.int32) - quantization.zero_point).astype(f32) * f32(quantization.scale)
    return values


def run(graph: Graph, codes: Array, kernels: Kernels = "xnnpack", batch_size: int = 64) -> Array:
    """int8 codes of the input (N, *input shape) to int8 codes of the output (N, *output shape)."""
    parts = [codes[i : i + batch_size] for i in range(0, len(codes), batch_size)]
    return np.concatenate([_last(trace(graph, part, kernels)) for part in parts])


def trace(graph: Graph, codes: Array, kernels: Kernels = "xnnpack") -> Iterator[tuple[str, Array]]:
    """Every tensor's name and int8 codes, in order of execution."""
    values = {graph.input: codes}
    yield graph.input, codes
    left = {name: len(graph.consumers(name)) for name in graph.tensors}
    for op in graph.operators:
        values[op.output] = KERNELS[type(op)](op, graph, [values[name] for name in op.inputs], kernels)
        yield op.output, values[op.output]
        for name in op.inputs:
            left[name] -= 1
            if not left[name]:
                values.pop(name, None)


def requantize(acc: Array, multiplier: Array, output: Quantization, low: int, high: int) -> Array:
    """Integer accumulators to int8 codes: float32 product, rounded half to even."""
    return _saturated(np.rint(acc.astype(f32) * multiplier) + output.zero_point, low, high)


def _saturated(codes: Array, low: int = QMIN, high: int = QMAX) -> Array:
    """Codes of any type to int8, clamped."""
    clamped: Array = np.clip(codes, low, high).astype(np.int8)
    return clamped


def multiplier(op: Weighted, source: Quantization, output: Quantization) -> Array:
    """float32(input_scale * weight_scale) / output_scale, for each output channel: (out,)."""
    assert op.weight_scale is not None
    ratio: Array = (f32(source.scale) * op.weight_scale.astype(f32)) / f32(output.scale)
    return ratio


def fixed_point_add(a: Quantization, b: Quantization, output: Quantization) -> tuple[int, int, int]:
    """(multiplier of a, of b, right shift) of XNNPACK's qs8-vadd: 21 bits for the larger one."""
    ratio_a, ratio_b = f32(a.scale) / f32(output.scale), f32(b.scale) / f32(output.scale)
    shift = 20 - int(np.floor(np.log2(max(ratio_a, ratio_b))))
    return int(np.rint(np.ldexp(np.float64(ratio_a), shift))), int(np.rint(np.ldexp(np.float64(ratio_b), shift))), shift


def _conv2d(op: Conv2d, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = graph.quantization(op.inputs[0]), graph.quantization(op.output)
    top, bottom, left, right = op.padding
    x = inputs[0].astype(np.int32) - source.zero_point
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    out_channels, _, kernel_h, kernel_w = op.weight.shape
    height = convolved(inputs[0].shape[2], kernel_h, op.stride[0], top, bottom, op.dilation[0])
    width = convolved(inputs[0].shape[3], kernel_w, op.stride[1], left, right, op.dilation[1])
    weight = op.weight.astype(np.int32)
    acc = np.zeros((len(x), out_channels, height, width), np.float64 if op.groups == 1 else np.int32)
    if op.groups == 1:  # float64 products of int8 codes are exact, and BLAS is fast
        x, weight = x.astype(np.float64), weight.astype(np.float64)
    for i in range(kernel_h):
        for j in range(kernel_w):
            rows = slice(i * op.dilation[0], i * op.dilation[0] + (height - 1) * op.stride[0] + 1, op.stride[0])
            columns = slice(j * op.dilation[1], j * op.dilation[1] + (width - 1) * op.stride[1] + 1, op.stride[1])
            acc += _tap(x[:, :, rows, columns], weight[:, :, i, j], op.groups)
    acc += op.bias.reshape(-1, 1, 1)
    low, high = activation_range(op.activation, output)
    return requantize(acc, multiplier(op, source, output).reshape(-1, 1, 1), output, low, high)


def _tap(x: Array, weight: Array, groups: int) -> Array:
    """One tap of the kernel: x (N, C, H, W), weight (out, C / groups) -> (N, out, H, W)."""
    n, channels, height, width = x.shape
    if groups == 1:
        products: Array = (weight @ x.reshape(n, channels, -1)).reshape(n, -1, height, width)
        return products
    if channels == groups:
        return np.repeat(x, len(weight) // groups, axis=1) * weight.reshape(1, -1, 1, 1)
    parts = zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
    return np.concatenate([np.einsum("oc,nchw->nohw", w, part) for part, w in parts], axis=1)


def _linear(op: Linear, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = graph.quantization(op.inputs[0]), graph.quantization(op.output)
    x = (inputs[0].astype(np.int32) - source.zero_point).astype(np.float64)
    acc = x @ op.weight.astype(np.float64).T + op.bias
    low, high = activation_range(op.activation, output)
    return requantize(acc, multiplier(op, source, output), output, low, high)


def float_add(a: Quantization, b: Quantization, output: Quantization) -> tuple[float, float, float]:
    """(ratio of a, ratio of b, constant) of onnxruntime's QLinearAdd on x86, whose zero points are uint8's.

    The compiler contracts one product of the constant into a fused multiply-add; float64 stands in for that.
    """
    ratio_a, ratio_b = f32(a.scale) / f32(output.scale), f32(b.scale) / f32(output.scale)
    zero_a, zero_b, zero = (f32(q.zero_point - QMIN) for q in (a, b, output))
    inner = f32(np.float64(ratio_a) * np.float64(zero_a) + np.float64(ratio_b * zero_b))
    return float(ratio_a), float(ratio_b), float(zero - inner)


def _add(op: Add, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    a, b, output = (graph.quantization(name) for name in (*op.inputs, op.output))
    x, y = inputs[0].astype(np.int64), inputs[1].astype(np.int64)
    if kernels == "xnnpack":
        by_a, by_b, shift = fixed_point_add(a, b, output)
        total = ((x - a.zero_point) * by_a + (y - b.zero_point) * by_b + (1 << (shift - 1))) >> shift
        total = total + output.zero_point
    else:  # two fused multiply-adds: each rounds its exact sum to float32 once
        ratio_a, ratio_b, constant = float_add(a, b, output)
        partial = ((y - QMIN) * ratio_b + constant).astype(f32)
        total = np.rint(((x - QMIN) * ratio_a + partial).astype(f32)) + QMIN
    return _saturated(total, *activation_range(op.activation, output))


def _relu(op: Relu, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    low, high = activation_range(op.activation, graph.quantization(op.output))
    return _saturated(inputs[0], low, high)


def _global_average_pool(op: GlobalAveragePool, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    source, output = graph.quantization(op.inputs[0]), graph.quantization(op.output)
    count = inputs[0].shape[2] * inputs[0].shape[3]
    acc = inputs[0].astype(np.int32).sum(axis=(2, 3)) - count * source.zero_point
    scale = (f32(source.scale) / f32(output.scale)) / f32(count)
    return requantize(acc, np.asarray(scale), output, QMIN, QMAX)


def _windows(x: Array, kernel: tuple[int, int], stride: tuple[int, int]) -> Array:
    """(N, C, H, W) -> (N, C, out H, out W, kernel H, kernel W)."""
    windows: Array = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1]]


def _max_pool2d(op: MaxPool2d, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    top, bottom, left, right = op.padding
    x = np.pad(inputs[0], ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=QMIN)
    highest: Array = _windows(x, op.kernel, op.stride).max(axis=(4, 5))
    return highest


def _average_pool2d(op: AveragePool2d, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    windows, count = _windows(inputs[0].astype(np.int32), op.kernel, op.stride), op.kernel[0] * op.kernel[1]
    if (
        kernels == "onnxruntime"
    ):  # float values, averaged in the window's order; rounded with the uint8 zero point added
        q = graph.quantization(op.output)
        values = (windows - q.zero_point).astype(f32) * f32(q.scale)
        mean = np.zeros(windows.shape[:4], f32)
        for i, j in np.ndindex(*op.kernel):
            mean += values[..., i, j]
        return _saturated(np.rint(mean / f32(count) / f32(q.scale) + f32(q.zero_point - QMIN)) + QMIN)
    total = windows.sum(axis=(4, 5))
    return _saturated((np.abs(total) + count // 2) // count * np.sign(total))


def _pad(op: Pad, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    return np.pad(inputs[0], ((0, 0), *op.amounts), constant_values=graph.quantization(op.output).zero_point)


def _slice(op: Slice, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    return inputs[0][(slice(None), *(slice(*r) for r in op.ranges))]


def _reshape(op: Reshape, graph: Graph, inputs: list[Array], kernels: Kernels) -> Array:
    return inputs[0].reshape(len(inputs[0]), *graph.tensors[op.output].shape)


def _last(pairs: Iterator[tuple[str, Array]]) -> Array:
    value: Array
    for _, value in pairs:  # noqa: B007 - the last one is wanted
        pass
    return value


KERNELS: dict[type[Operator], Callable[..., Array]] = {
    Conv2d: _conv2d,
    Linear: _linear,
    Add: _add,
    Relu: _relu,
    GlobalAveragePool: _global_average_pool,
    MaxPool2d: _max_pool2d,
    AveragePool2d: _average_pool2d,
    Pad: _pad,
    Slice: _slice,
    Reshape: _reshape,
}
