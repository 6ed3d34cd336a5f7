"""Batch-norm scale: channels that batch norm scales towards zero matter least (network slimming: Liu et al., 2017,
arXiv:1708.06519)."""

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch_pruning.dependency import Group

from edgekd.errors import ModelError
from edgekd.pruning.groups import name_of, parts, width
from edgekd.pruning.saliency import SaliencyData


def bn_scale(group: Group, data: SaliencyData) -> Tensor:
    """|gamma|, the mean of it where a group has several batch norms (a residual stream): (channels,).

    Liu et al. push gammas towards zero with an L1 term while the network trains; here training has no such term.
    """
    scales = [
        part.per_channel(part.layer.weight.detach().cpu().abs(), width(group))
        for part in parts(group)
        if isinstance(part.layer, _BatchNorm) and part.layer.affine
    ]
    if not scales:
        raise ModelError(
            f"criterion 'bn_scale' needs a batch norm with a scale behind {name_of(group)}, and there is none",
            'prune.criterion = "magnitude"',
        )
    return torch.stack(scales).mean(0)
