"""The rows of the report that compare the results with the target's limits."""

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
    """Return one row for each limit that is set.

    Args:
        size: the size of the int8 file.
        flash: what the device stores of the network.
        peak_ram: the peak RAM of the int8 network.
        latency: the latency of one inference on the device.
        score_drop: by how much the int8 network's score is worse than the teacher's.
    """
    pairs: tuple[tuple[Limit, float | None, Quantity], ...] = (
        ("size", limits.size_bytes, size),
        ("peak RAM", limits.peak_ram_bytes, peak_ram),
        ("flash", limits.flash_bytes, flash),
        ("latency", limits.latency_ms, latency),
        ("score drop", limits.score_drop, score_drop),
    )
    return tuple(
        _row(name, float(limit_value), reached, words)
        for name, limit_value, reached in pairs
        if limit_value is not None
    )


def flash_of_file(size: Quantity) -> Quantity:
    """Return the flash that an int8 file takes, from its size, for a runtime that reads files."""
    return size.model_copy(update={"source": f"{size.source}; the runtime's own code is not counted"})


def _row(name: Limit, limit_value: float, reached: Quantity, words: TaskWords) -> LimitRow:
    limit = Quantity(value=limit_value, unit=reached.unit, origin="given", source="[limits]")
    if reached.value is None:
        return LimitRow(limit=name, allowed=limit, reached=reached, met=None)
    over = reached.value - limit_value
    # Scores in percent are shares of whole samples: 1 point less 1 point may come out as 1e-14.
    if over <= 1e-9 * max(1.0, limit_value):
        return LimitRow(limit=name, allowed=limit, reached=reached, met=True)
    reached_text, excess, limit_text = (amount(value, reached.unit) for value in (reached.value, over, limit_value))
    miss = f"{limit_name(name, words)} {reached_text} is {excess} over the {limit_text} allowed"
    return LimitRow(limit=name, allowed=limit, reached=reached, met=False, miss=miss)
