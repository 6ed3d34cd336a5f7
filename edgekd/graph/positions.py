"""Recognises repetition, reflection and reversal in the positions of a Take, for which formats have operators."""

import numpy as np

Positions = tuple[int, ...]


def repetitions(positions: Positions, length: int) -> int | None:
    """The factor k where each position is repeated k times in order, as nearest-neighbour resizing does; else None."""
    times, remainder = divmod(len(positions), length)
    return times if not remainder and positions == tuple(np.repeat(np.arange(length), times)) else None


def reflection(positions: Positions, length: int) -> tuple[int, int] | None:
    """The (before, after) lengths where the axis is padded by reflection without repeating its ends; else None."""
    before = positions.index(0) if 0 in positions else 0
    after = len(positions) - before - length
    if after < 0 or max(before, after) >= length:
        return None
    around = np.pad(np.arange(length), (before, after), mode="reflect")
    return (before, after) if positions == tuple(around) else None


def is_reversed(positions: Positions, length: int) -> bool:
    """Whether the positions are the whole axis in reverse order."""
    return positions == tuple(range(length - 1, -1, -1))
