"""Adapters between layers of different shapes: learnt maps between channels, and pooling between resolutions."""

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import ConfigError
from edgekd.nn.layers import Pair


def regressor(pair: Pair, who: str, bias: bool = True) -> nn.Module:
    """Return a learnt linear map from the student's channels to the teacher's, which acts on each position alone.

    A 1x1 convolution for maps (C, H, W); a linear layer for sequences (length, width) and vectors (width,). Two layers
    with as many steps but other channels, (C, time), are recognised by their second number being the same; where both
    numbers are the same, the layers count as sequences.
    """
    ours, theirs = pair.student.shape, pair.teacher.shape
    if len(ours) == len(theirs) == 3:
        return nn.Conv2d(ours[0], theirs[0], 1, bias=bias)
    if len(ours) == len(theirs) == 1 or (len(ours) == len(theirs) == 2 and ours[0] == theirs[0]):
        return nn.Linear(ours[-1], theirs[-1], bias=bias)
    if len(ours) == len(theirs) == 2 and ours[1] == theirs[1]:
        return nn.Conv1d(ours[0], theirs[0], 1, bias=bias)
    raise ConfigError(
        f"loss {who!r} can't compare the student's {pair.student.name!r} {ours} with the teacher's "
        f"{pair.teacher.name!r} {theirs}",
        'layers = ["STUDENT:TEACHER"] with two of maps (C, H, W), sequences of one length, or vectors',
    )


def projection(pair: Pair, who: str) -> nn.Module:
    """Return a learnt matrix without a bias where the channels differ, and the identity where they agree."""
    channels = 0 if len(pair.student.shape) == 3 else slice(None)
    same = pair.student.shape[channels] == pair.teacher.shape[channels]
    return nn.Identity() if same else regressor(pair, who, bias=False)


def pool_to_smaller(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Average two maps (N, C, H, W) down to the smaller of their resolutions; return other shapes unchanged."""
    if ours.ndim != 4 or ours.shape[2:] == theirs.shape[2:]:
        return ours, theirs
    smaller = min(ours.shape[2], theirs.shape[2]), min(ours.shape[3], theirs.shape[3])
    return F.adaptive_avg_pool2d(ours, smaller), F.adaptive_avg_pool2d(theirs, smaller)
