"""Bilinear resizing on codes: the kernel's own arithmetic, with the gradient of torch's."""

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from edgekd.graph.floating import resized
from edgekd.graph.operators.arithmetic_training import Simulated, exactly
from edgekd.graph.operators.resize import Taps, blended, rounded, taps
from edgekd.graph.ops import Resize
from edgekd.graph.structure import Operator


class _TorchTaps:
    """Taps as torch's tensors on a device."""

    def __init__(self, found: Taps, device: torch.device) -> None:
        for field in fields(found):
            setattr(self, field.name, torch.from_numpy(getattr(found, field.name)).to(device))


def _resize(sim: Simulated, op: Resize, x: Tensor) -> Tensor:
    size, q = sim.tensors[op.output].shape[1:], sim.quantization(op.output)
    rows, columns = (
        _TorchTaps(taps(before, after, op.align_corners, sim.kernels), x.device)
        for before, after in zip(x.shape[2:], size, strict=True)
    )
    with torch.no_grad():
        if sim.kernels == "onnxruntime":
            codes = torch.round(blended(x * q.scale, rows, columns) / q.scale)
        else:
            codes = rounded(blended(x.long() + q.zero_point, rows, columns), sim.kernels) - q.zero_point
    return exactly(codes.to(x), resized(op, x, size))


FORMS: dict[type[Operator], Callable[..., Tensor]] = {Resize: _resize}
