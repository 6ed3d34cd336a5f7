"""The limits of the target against what was reached: the contract, row by row."""

from typing import Literal

from edgekd.config import Limits
from edgekd.report.units import amount
from edgekd.results import LimitRow, Quantity

Limit = Literal["size", "peak RAM", "flash", "latency", "accuracy drop"]


def rows(
    limits: Limits, *, size: Quantity, peak_ram: Quantity, latency: Quantity, accuracy_drop: Quantity
) -> tuple[LimitRow, ...]:
    """One row for each limit that is set.

    Args:
        size: of the int8 file. peak_ram: of the int8 network. latency: of one inference on the device.
        accuracy_drop: points that the int8 network lost against the teacher.
    """
    flash = size.model_copy(update={"source": f"{size.source}; the runtime's own code is not counted"})
    pairs: tuple[tuple[Limit, float | None, Quantity], ...] = (
        ("size", limits.size_bytes, size),
        ("peak RAM", limits.peak_ram_bytes, peak_ram),
        ("flash", limits.flash_bytes, flash),
        ("latency", limits.latency_ms, latency),
        ("accuracy drop", limits.accuracy_drop, accuracy_drop),
    )
    return tuple(_row(name, float(allowed), reached) for name, allowed, reached in pairs if allowed is not None)


def _row(name: Limit, allowed: float, reached: Quantity) -> LimitRow:
    given = Quantity(value=allowed, unit=reached.unit, origin="given", source="[limits]")
    if reached.value is None:
        return LimitRow(limit=name, allowed=given, reached=reached, met=None)
    over = reached.value - allowed
    # Accuracies are shares of whole samples in percent: 1 point less 1 point may come out as 1e-14.
    if over <= 1e-9 * max(1.0, allowed):
        return LimitRow(limit=name, allowed=given, reached=reached, met=True)
    is_, by, of = (amount(value, reached.unit) for value in (reached.value, over, allowed))
    miss = f"{name} {is_} is {by} over the {of} allowed"
    return LimitRow(limit=name, allowed=given, reached=reached, met=False, miss=miss)
