"""First-order Taylor expansion: channels without which the loss would change least matter least (Molchanov et al.,
2019, arXiv:1906.10771)."""

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch_pruning.dependency import Group

from edgekd.pruning.groups import parts, width
from edgekd.pruning.saliency import SaliencyData


def taylor(group: Group, data: SaliencyData, *, batches: int = 8, normalise: bool = False) -> Tensor:
    """|sum of weight x gradient| over each filter that makes a channel, added up over the group's layers: (channels,).

    The gradient is that of the distillation loss on training batches. Scores are in units of the loss, so groups
    compare as they are.

    Args:
        batches: number of training batches over which the gradient is averaged.
        normalise: divide by the group's mean nevertheless.
    """
    gradients = data.gradients(batches)
    scores = torch.zeros(width(group))
    for part in parts(group):
        if part.side == "in" or isinstance(part.layer, _BatchNorm):
            continue
        weight: torch.nn.Parameter = part.layer.weight  # type: ignore[assignment]
        product = (weight.detach() * gradients[weight]).cpu()
        scores += part.per_channel(product, width(group)).abs()
    mean = scores.mean()
    return scores / mean if normalise and mean > 0 else scores
