"""Calibrates activation ranges on batches of values: by minimum and maximum, by a percentile or by the least error.

A first pass over the batches finds minima and maxima, a second one counts histograms; no values are stored.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from edgekd.graph.structure import QMAX, QMIN, Array
from edgekd.quantization.scales import from_range

Method = Literal["minmax", "percentile", "mse"]
Range = tuple[float, float]
Observations = Callable[[], Iterable[tuple[str, Tensor]]]

BINS = 8192
ROUNDING = 1e-12  # tolerance for float64 in shares
SMALLEST_SHARE = 1 / 16
"""Smallest share of an end of the range that the search for the least error tries; a step is two bins wide there."""


@dataclass
class Histogram:
    """How many values lie in each of `BINS` bins of equal width between two ends."""

    low: float
    high: float
    counts: Array

    @property
    def edges(self) -> Array:
        """The edges of the bins from `low` to `high`: one more than there are bins."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)


def ranges(
    observations: Observations, method: Method = "minmax", percentile: float = 99.999, unclipped: Collection[str] = ()
) -> dict[str, Range]:
    """The range (low, high) of each tensor, by its name.

    Args:
        observations: yields (name, values) for all calibration batches; a name may come more than once. It is called
            twice unless `method` is "minmax".
        method: "minmax" covers all values, "percentile" leaves out a share at each end, and "mse" has the least
            squared error of rounding and saturating to 8 bits.
        percentile: how many percent of the values lie below the high end, and how many above the low one.
        unclipped: names whose range covers all values: a network's outputs, of which two that saturate would tie.
    """
    ends: dict[str, Range] = {}
    for name, values in observations():
        low, high = (float(end) for end in torch.aminmax(values.detach()))
        before = ends.get(name, (low, high))
        ends[name] = min(before[0], low), max(before[1], high)
    if method == "minmax":
        return ends
    histograms = {
        name: Histogram(low, high, np.zeros(BINS))
        for name, (low, high) in ends.items()
        if name not in unclipped and high > low
    }
    for name, values in observations():
        if name in histograms:
            histogram = histograms[name]
            counts = torch.histc(values.detach().float(), BINS, histogram.low, histogram.high)
            histogram.counts += counts.double().cpu().numpy()
    for name, histogram in histograms.items():
        ends[name] = within_percentile(histogram, percentile) if method == "percentile" else least_error(histogram)
    return ends


def within_percentile(histogram: Histogram, percentile: float) -> Range:
    """The narrowest range on edges of bins with no more than (100 - percentile) % of the values beyond each end."""
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)]) / max(histogram.counts.sum(), 1.0)
    share = percentile / 100
    first = int(np.searchsorted(below, 1 - share + ROUNDING, side="right")) - 1
    last = int(np.searchsorted(below, share - ROUNDING, side="left"))
    return float(histogram.edges[first]), float(histogram.edges[last])


def least_error(histogram: Histogram) -> Range:
    """The range with the least mean squared error of the deployed rounding.

    The criterion is that of Banner et al. (2019, "Post training 4-bit quantization"). We search instead of assuming a
    Laplace distribution, and search each end while the other is fixed: after a ReLU or a SiLU the two differ widely.
    """
    low, high = histogram.low, histogram.high
    for shares in (np.geomspace(SMALLEST_SHARE, 1, 48), np.linspace(0.94, 1.06, 25)):
        for _ in range(3):
            before = low, high
            highs = np.minimum(high * shares if high > 0 else [high], histogram.high)
            high = float(highs[np.argmin([_error(histogram, low, end) for end in highs])])
            lows = np.maximum(low * shares if low < 0 else [low], histogram.low)
            low = float(lows[np.argmin([_error(histogram, end, high) for end in lows])])
            if (low, high) == before:
                break
    return low, high


def _error(histogram: Histogram, low: float, high: float) -> float:
    """The squared error of all values, with each value in the middle of its bin."""
    q = from_range(low, high)
    centers = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    codes = np.clip(np.rint(centers / q.scale) + q.zero_point, QMIN, QMAX)
    return float(histogram.counts @ np.square((codes - q.zero_point) * q.scale - centers))
