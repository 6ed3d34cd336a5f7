"""How a file's input is laid out against the data's, channels first or last, in real numbers or codes, in batches."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgekd.errors import ModelError

Run = Callable[[np.ndarray], np.ndarray]
"""(N, ...) as a network takes it -> (N, classes) as it gives it."""

BATCH = 256


def axes_for(
    found: Sequence[int | None], wanted: tuple[int, ...], who: str, *, channels_last: bool = False
) -> tuple[int, ...]:
    """Which of a sample's axes, in torch's order, each axis of the file is.

    Args:
        found: the file's input without the batch; None where a size is open.
        wanted: the data's, channels first.
        channels_last: what to take where both orders would fit.
    """
    rank = len(wanted)
    first, last = tuple(range(rank)), (*range(1, rank), 0)
    for axes in (last, first) if channels_last else (first, last):
        if len(found) == rank and all(size in (None, wanted[axis]) for size, axis in zip(found, axes, strict=True)):
            return axes
    shown = ", ".join("any" if size is None else str(size) for size in found)
    raise ModelError(
        f"{who} takes inputs of shape ({shown}), and the data has {wanted}, channels first",
        "a file for such inputs, or data that is prepared for the file",
    )


def arranged(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """(N, *torch's order) -> (N, *the file's order)."""
    return np.ascontiguousarray(x.transpose(0, *(axis + 1 for axis in axes)))


def as_taken(
    x: np.ndarray, dtype: np.dtype, scale: float | None, zero_point: int | None, *, pixels: bool, who: str
) -> np.ndarray:
    """Real numbers in the file's dtype: 8-bit inputs are quantised by the file's own scale.

    Args:
        pixels: x holds raw pixels, 0 ... 255: they are the codes themselves (less 128 where codes are signed).
    """
    if dtype not in (np.uint8, np.int8):
        return x.astype(dtype)
    if pixels:
        return (x - 128 * (dtype == np.int8)).round().astype(dtype)
    if not scale:
        raise ModelError(
            f"{who} takes {dtype} and does not say on which scale", 'teacher.input = "raw", where these are pixels'
        )
    limits = np.iinfo(dtype)
    return np.clip(np.round(x / np.float32(scale)) + (zero_point or 0), limits.min, limits.max).astype(dtype)


def as_real(values: np.ndarray, scale: float | None, zero_point: int | None, who: str) -> np.ndarray:
    """What a file gave, as float32."""
    if not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32)
    if not scale:
        raise ModelError(f"{who} gives {values.dtype} and does not say on which scale", "a file with float outputs")
    return (values.astype(np.float32) - (zero_point or 0)) * np.float32(scale)


def in_batches(x: np.ndarray, size: int | None, run: Run) -> np.ndarray:
    """Run pieces of x; a file with a fixed batch gets whole ones, the last filled up by repeating a sample."""
    step, parts = size or BATCH, []
    for start in range(0, len(x), step):
        piece = x[start : start + step]
        missing = step - len(piece) if size else 0
        parts.append(run(np.concatenate([piece, *[piece[-1:]] * missing]) if missing else piece)[: len(piece)])
    return np.concatenate(parts)


def unreadable(path: Path, kind: str, error: Exception, remedy: str) -> ModelError:
    """The refusal of a file that its runtime could not read."""
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"teacher.file: {path.name} can't be read as {kind}: {first_line}", remedy)
