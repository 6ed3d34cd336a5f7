"""Magnitude: channels whose weights are small matter least (Li et al., 2017, arXiv:1608.08710; DepGraph: Fang et al.,
2023, arXiv:2301.12900)."""

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch_pruning.dependency import Group

from edgekd.pruning.groups import parts, width
from edgekd.pruning.saliency import SaliencyData


def magnitude(
    group: Group, data: SaliencyData, *, norm: float = 2.0, coupled: bool = True, normalise: bool = True
) -> Tensor:
    """(sum |w|^norm)^(1/norm) over the weights that would go with a channel: (channels,).

    Args:
        norm: order of the norm; Li et al. used 1.
        coupled: count the weights that read the channel too, in every layer of the group (Fang et al.); otherwise only
            the filters that make it (Li et al.).
        normalise: divide by the group's mean, so that groups of different sizes can be ranked together (Fang et al.).
            We leave batch norm out of the sum; Fang et al. count its scale as one weight more.
    """
    total = torch.zeros(width(group))
    for part in parts(group):
        if isinstance(part.layer, _BatchNorm) or (part.side == "in" and not coupled):
            continue
        weight: Tensor = part.layer.weight.detach().cpu()  # type: ignore[operator]
        total += part.per_channel(weight.abs() ** norm, width(group))
    scores = total ** (1 / norm)
    mean = scores.mean()
    return scores / mean if normalise and mean > 0 else scores
