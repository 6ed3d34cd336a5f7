"""The limits of the target against what was reached: the contract, row by row."""

from typing import Literal

from edgekd.config import Limits
from edgekd.report.sentences import limit_name
from edgekd.report.units import amount
from edgekd.results import LimitRow, Quantity, TaskWords

Limit = Literal["size", "peak RAM", "flash", "latency", "score drop"]


def rows(
    limits: Limits,
    words: TaskWords,
    *,
    size: Quantity,
    flash: Quantity,
    peak_ram: Quantity,
    latency: Quantity,
    score_drop: Quantity,
) -> tuple[LimitRow, ...]:
    """One row for each limit that is set.

    Args:
        size: of the int8 file. flash: that the device stores of the network. peak_ram: of the int8 network.
        latency: of one inference on the device.
        score_drop: by how much the int8 network's score is worse than the teacher's.
    """
    pairs: tuple[tuple[Limit, float | None, Quantity], ...] = (
        ("size", limits.size_bytes, size),
        ("peak RAM", limits.peak_ram_bytes, peak_ram),
        ("flash", limits.flash_bytes, flash),
        ("latency", limits.latency_ms, latency),
        ("score drop", limits.score_drop, score_drop),
    )
    return tuple(_row(name, float(allowed), reached, words) for name, allowed, reached in pairs if allowed is not None)


def flash_of_file(size: Quantity) -> Quantity:
    """The flash that an int8 file takes, from its size: for a runtime that reads files."""
    return size.model_copy(update={"source": f"{size.source}; the runtime's own code is not counted"})


def _row(name: Limit, allowed: float, reached: Quantity, words: TaskWords) -> LimitRow:
    limit = Quantity(value=allowed, unit=reached.unit, origin="given", source="[limits]")
    if reached.value is None:
        return LimitRow(limit=name, allowed=limit, reached=reached, met=None)
    over = reached.value - allowed
    # Scores in percent are shares of whole samples: 1 point less 1 point may come out as 1e-14.
    if over <= 1e-9 * max(1.0, allowed):
        return LimitRow(limit=name, allowed=limit, reached=reached, met=True)
    is_, by, of = (amount(value, reached.unit) for value in (reached.value, over, allowed))
    miss = f"{limit_name(name, words)} {is_} is {by} over the {of} allowed"
    return LimitRow(limit=name, allowed=limit, reached=reached, met=False, miss=miss)
