"""Training samples for calibration, bias correction and the sensitivity of layers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from edgekd.data.batches import epoch_order, normalise
from edgekd.data.splits import Splits

BATCH = 64


@dataclass(frozen=True)
class Samples:
    """Training samples in batches, normalised as `splits` says; they can be iterated more than once.

    Attributes:
        positions: the samples' indices in the training split, in ascending order.
        size: of a batch.
    """

    splits: Splits
    positions: np.ndarray
    size: int = BATCH

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.positions), self.size):
            yield normalise(self.raw(slice(start, start + self.size)), self.splits)

    def raw(self, which: slice = slice(None)) -> np.ndarray:
        """The samples as the data set has them, (N, ...)."""
        return np.asarray(self.splits.train.x[self.positions[which]])

    def first(self, count: int) -> "Samples":
        """The first `count` samples, in batches that are no larger."""
        return replace(self, positions=self.positions[:count], size=min(self.size, count))


def calibration_samples(splits: Splits, count: int, seed: int) -> Samples:
    """A random choice of `count` training samples, in the order of the split."""
    return Samples(splits, np.sort(epoch_order(len(splits.train), seed, 0)[:count]))
