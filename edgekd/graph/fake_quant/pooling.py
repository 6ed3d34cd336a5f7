"""Means and maxima: sums of codes are exact, so only the last rounding needs a rule."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.fake_quant.arithmetic import Simulated, exactly, limits, requantized
from edgekd.graph.floating import max_pooled
from edgekd.graph.ops import AveragePool2d, GlobalAveragePool, MaxPool2d
from edgekd.graph.structure import QMIN, Operator


def _global_average_pool(sim: Simulated, op: GlobalAveragePool, x: Tensor) -> Tensor:
    source, count = sim.quantization(op.inputs[0]), x.shape[2] * x.shape[3]
    acc = x.sum((2, 3))
    sim.observe(op.output, lambda: acc * (source.scale / count))
    output = sim.quantization(op.output)
    scale = (np.float32(source.scale) / np.float32(output.scale)) / np.float32(count)
    return requantized(acc, torch.tensor(scale, device=acc.device), *limits("none", output))


def _average_pool(sim: Simulated, op: AveragePool2d, x: Tensor) -> Tensor:
    q, count = sim.quantization(op.output), op.kernel[0] * op.kernel[1]
    mean = F.avg_pool2d(x, op.kernel, op.stride)
    if sim.kernels == "xnnpack":  # TFLite rounds the mean of the codes themselves, half away from zero
        total = torch.round((mean.detach() + q.zero_point) * count)
        codes = torch.floor((total.abs() + count // 2) / count) * total.sign() - q.zero_point
        return exactly(codes, mean).clamp(*limits("none", q))
    values, total = x.detach() * q.scale, torch.zeros_like(mean)  # onnxruntime sums real values one by one
    for i in range(op.kernel[0]):
        for j in range(op.kernel[1]):
            rows = slice(i, i + (mean.shape[2] - 1) * op.stride[0] + 1, op.stride[0])
            columns = slice(j, j + (mean.shape[3] - 1) * op.stride[1] + 1, op.stride[1])
            total = total + values[:, :, rows, columns]
    uint8 = torch.round(total / count / q.scale + (q.zero_point - QMIN))
    return exactly(uint8 + (QMIN - q.zero_point), mean).clamp(*limits("none", q))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {
    GlobalAveragePool: _global_average_pool,
    MaxPool2d: lambda sim, op, x: max_pooled(op, x, limits("none", sim.quantization(op.output))[0]),
    AveragePool2d: _average_pool,
}
