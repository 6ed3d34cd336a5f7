"""Turns figures of one or several trainings into the report's records."""

import math
from collections.abc import Sequence

import numpy as np

from edgekd.results import Quantity, Spread

TOO_FEW = "there are too few samples or mistakes to tell: a larger test set"


def spread(values: Sequence[float], unit: str, error: float | None = None) -> Spread | None:
    """Return the mean and the standard error over the seeds; None without values.

    Args:
        error: standard error of a single value.
    """
    if not values:
        return None
    mean, count = float(np.mean(values)), len(values)
    if count > 1:
        error = float(np.std(values, ddof=1) / math.sqrt(count))
    source = f"mean of {count} seeds" if count > 1 else "one seed"
    return Spread(mean=host_quantity(mean, unit, source, error), each=tuple(float(value) for value in values))


def host_quantity(value: float | None, unit: str, source: str = "test set", error: float | None = None) -> Quantity:
    """Return a figure measured on this machine; one without a value where `value` is None."""
    if value is None:
        return Quantity(unit=unit, remedy=TOO_FEW)
    return Quantity(value=value, unit=unit, origin="measured-host", source=source, error=error)
