"""Directions of vectors, with a gradient that stays finite where a vector has none."""

import math

from torch import Tensor


def unit(x: Tensor, dim: int = -1, least: float = 1e-6) -> Tensor:
    """x / |x| along `dim`. A vector shorter than `least` gives zero, and no gradient: its own would have no end."""
    norm = x.norm(dim=dim, keepdim=True)
    directions: Tensor = x / norm.masked_fill(norm < least, math.inf)
    return directions
