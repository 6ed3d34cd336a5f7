"""Means and maxima: sums of codes are exact, so only the last rounding needs a rule."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic_training import FixedPoint, exactly, limits, requantize
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.operators.pooling import onnxruntime_mean, tflm_mean, xnnpack_mean
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d, Mean
from edgekd.graph.structure import QMIN, Operator


def _average(op: AveragePool2d, x: Tensor) -> Tensor:
    """The mean of each window without its padding."""
    if not any(op.padding):
        return F.avg_pool2d(x, op.kernel, op.stride)
    counts = torch.from_numpy(op.cells((x.shape[2], x.shape[3]))).to(x)
    return _window_sums(op, x) / counts


def _window_sums(op: AveragePool2d, x: Tensor) -> Tensor:
    top, bottom, left, right = op.padding
    return F.avg_pool2d(F.pad(x, (left, right, top, bottom)), op.kernel, op.stride, divisor_override=1)


def _max_pool(op: MaxPool2d, x: Tensor, lowest: float) -> Tensor:
    """The maximum of each window; padding has the value `lowest`."""
    top, bottom, left, right = op.padding
    return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=lowest), op.kernel, op.stride)


def _mean_codes(sim: Simulated, op: Operator, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The mean over `axes` of the shape, the batch not counted, as codes."""
    source = sim.quantization(op.inputs[0])
    count = math.prod(sim.tensors[op.inputs[0]].shape[axis] for axis in axes)
    acc = x.sum([axis + 1 for axis in axes])
    sim.observe(op.output, lambda: acc * (source.scale / count))
    return _divide(sim, op, acc, count)


def _divide(sim: Simulated, op: Operator, acc: Tensor, count: int) -> Tensor:
    """Convert sums of `count` codes minus their zero point to the output's codes."""
    source, output = sim.quantization(op.inputs[0]), sim.quantization(op.output)
    low, high = limits("none", output)
    if sim.kernels == "xnnpack":
        factor, constant = xnnpack_mean(source, output, count)
        codes = torch.round((acc.detach() + count * source.zero_point) * float(factor) + float(constant))
        return exactly(codes - output.zero_point, acc * (source.scale / output.scale / count)).clamp(low, high)
    if sim.kernels == "onnxruntime":
        factor = onnxruntime_mean(source, output, count)
        return requantize(acc, torch.tensor(factor, device=acc.device), low, high)
    twice = FixedPoint.of(*tflm_mean(source, output, count), [1] * acc.dim(), acc.device)
    multiplier = torch.tensor(source.scale / output.scale / count, device=acc.device)
    return requantize(acc, multiplier, low, high, twice)


def _average_pool_codes(sim: Simulated, op: AveragePool2d, x: Tensor) -> Tensor:
    q, size = sim.quantization(op.output), (x.shape[2], x.shape[3])
    count = torch.from_numpy(op.cells(size)).to(x)
    mean = _average(op, x)
    if sim.kernels != "onnxruntime":  # TFLite rounds the mean of the codes themselves, half away from zero
        total = torch.round(_window_sums(op, x.detach())) + count * q.zero_point
        codes = torch.floor((total.abs() + torch.floor(count / 2)) / count) * total.sign() - q.zero_point
        return exactly(codes, mean).clamp(*limits("none", q))
    if op.kernel == size and not any(op.padding):  # one window over everything runs as a global pool
        return _divide(sim, op, _window_sums(op, x), math.prod(size))
    top, bottom, left, right = op.padding  # onnxruntime adds real values one by one
    values = F.pad(x.detach() * q.scale, (left, right, top, bottom))
    total = torch.zeros_like(mean)
    for i in range(op.kernel[0]):
        for j in range(op.kernel[1]):
            rows = slice(i, i + (mean.shape[2] - 1) * op.stride[0] + 1, op.stride[0])
            columns = slice(j, j + (mean.shape[3] - 1) * op.stride[1] + 1, op.stride[1])
            total = total + values[:, :, rows, columns]
    uint8 = torch.round(total / count / q.scale + (q.zero_point - QMIN))
    return exactly(uint8 + (QMIN - q.zero_point), mean).clamp(*limits("none", q))


TRAINING: dict[type[Operator], TrainingForms] = {
    GlobalAveragePool: TrainingForms(
        lambda op, x, shape: x.mean((2, 3)), lambda sim, op, x: _mean_codes(sim, op, x, (1, 2))
    ),
    Mean: TrainingForms(
        lambda op, x, shape: x.mean([axis + 1 for axis in op.axes]),
        lambda sim, op, x: _mean_codes(sim, op, x, op.axes),
    ),
    MaxPool2d: TrainingForms(
        lambda op, x, shape: _max_pool(op, x, float("-inf")),
        lambda sim, op, x: _max_pool(op, x, limits("none", sim.quantization(op.output))[0]),
    ),
    AveragePool2d: TrainingForms(lambda op, x, shape: _average(op, x), _average_pool_codes),
}
