"""What a list of taken positions means: repetition, reflection or reversal, which formats have operators for."""

import numpy as np

Positions = tuple[int, ...]


def repeated(positions: Positions, length: int) -> int | None:
    """k where each position of the axis is taken k times in turn: nearest-neighbour resizing by a whole factor."""
    times, rest = divmod(len(positions), length)
    return times if not rest and positions == tuple(np.repeat(np.arange(length), times)) else None


def reflected(positions: Positions, length: int) -> tuple[int, int] | None:
    """(before, after) where the whole axis is taken, and reflected at its ends without repeating them."""
    before = positions.index(0) if 0 in positions else 0
    after = len(positions) - before - length
    if after < 0 or max(before, after) >= length:
        return None
    around = np.pad(np.arange(length), (before, after), mode="reflect")
    return (before, after) if positions == tuple(around) else None


def reversed_(positions: Positions, length: int) -> bool:
    """The whole axis, the last one first."""
    return positions == tuple(range(length - 1, -1, -1))
