"""Which values an activation's codes should cover: ranges from batches, by their ends, a percentile or the least error.

Batches are gone through once for the ends and a second time for histograms, tensor by tensor; no values are kept.
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
Seen = Callable[[], Iterable[tuple[str, Tensor]]]

BINS = 8192
ROUNDING = 1e-12  # of float64, in shares
SMALLEST_SHARE = 1 / 16
"""Of an end of the range that the search for the least error tries: there a step is still two bins wide."""


@dataclass
class Histogram:
    """How many values lie in each of `BINS` bins of equal width between two ends."""

    low: float
    high: float
    counts: Array

    @property
    def edges(self) -> Array:
        """Of the bins, from `low` to `high`: one more than there are bins."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)


def ranges(
    seen: Seen, method: Method = "minmax", percentile: float = 99.999, whole: Collection[str] = ()
) -> dict[str, Range]:
    """(low, high) by name.

    Args:
        seen: goes through the calibration batches and yields (name, values); a name may come again and again. It is
            called twice unless `method` is "minmax".
        method: the lowest and highest value; what leaves out a share at each end; or the ends between which rounding
            and saturating to 8 bits makes the least squared error.
        percentile: of the values, lie below the high end and above the low one.
        whole: names whose ends are kept: a network's outputs, of which two that saturate would tie.
    """
    ends: dict[str, Range] = {}
    for name, values in seen():
        low, high = (float(end) for end in torch.aminmax(values.detach()))
        before = ends.get(name, (low, high))
        ends[name] = min(before[0], low), max(before[1], high)
    if method == "minmax":
        return ends
    histograms = {
        name: Histogram(low, high, np.zeros(BINS))
        for name, (low, high) in ends.items()
        if name not in whole and high > low
    }
    for name, values in seen():
        if name in histograms:
            into = histograms[name]
            into.counts += torch.histc(values.detach().float(), BINS, into.low, into.high).double().cpu().numpy()
    for name, histogram in histograms.items():
        ends[name] = within_percentile(histogram, percentile) if method == "percentile" else least_error(histogram)
    return ends


def within_percentile(histogram: Histogram, percentile: float) -> Range:
    """The narrowest ends, on edges of bins, with no more than (100 - percentile) % of the values beyond each."""
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)]) / max(histogram.counts.sum(), 1.0)
    share = percentile / 100
    first = int(np.searchsorted(below, 1 - share + ROUNDING, side="right")) - 1
    last = int(np.searchsorted(below, share - ROUNDING, side="left"))
    return float(histogram.edges[first]), float(histogram.edges[last])


def least_error(histogram: Histogram) -> Range:
    """The ends with the least mean squared error of the deployed rounding; each end is searched while the other rests.

    As in Banner et al. (2019, "Post training 4-bit quantization"), but by search instead of for a Laplace
    distribution, and for both ends by themselves: after a ReLU, or a SiLU, they have little in common.
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
    """The squared error of all values, each taken to be in the middle of its bin."""
    q = from_range(low, high)
    centers = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    codes = np.clip(np.rint(centers / q.scale) + q.zero_point, QMIN, QMAX)
    return float(histogram.counts @ np.square((codes - q.zero_point) * q.scale - centers))
