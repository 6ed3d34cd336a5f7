"""Bilinear resizing on codes: the kernel's own arithmetic, with the gradient of torch's."""

from collections.abc import Sequence
from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.operators.arithmetic_training import exactly
from edgekd.graph.operators.forms import Simulated, TrainingForms
from edgekd.graph.operators.resize import Taps, blend, round_sums, taps
from edgekd.graph.ops import Resize
from edgekd.graph.structure import Operator


class _TorchTaps:
    """The arrays of `Taps` as torch's tensors on a device."""

    def __init__(self, source: Taps, device: torch.device) -> None:
        for field in fields(source):
            setattr(self, field.name, torch.from_numpy(getattr(source, field.name)).to(device))


def _resize(op: Resize, x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize to (height, width), bilinearly."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=op.align_corners)


def _resize_codes(sim: Simulated, op: Resize, x: Tensor) -> Tensor:
    size, q = sim.tensors[op.output].shape[1:], sim.quantization(op.output)
    rows, columns = (
        _TorchTaps(taps(before, after, op.align_corners, sim.kernels), x.device)
        for before, after in zip(x.shape[2:], size, strict=True)
    )
    with torch.no_grad():
        if sim.kernels == "onnxruntime":
            codes = torch.round(blend(x * q.scale, rows, columns) / q.scale)
        else:
            codes = round_sums(blend(x.long() + q.zero_point, rows, columns), sim.kernels) - q.zero_point
    return exactly(codes.to(x), _resize(op, x, size))


TRAINING: dict[type[Operator], TrainingForms] = {
    Resize: TrainingForms(lambda op, x, shape: _resize(op, x, shape[1:]), _resize_codes)
}
