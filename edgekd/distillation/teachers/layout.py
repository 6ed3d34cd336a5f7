"""Converts between the data's layout and a file's: channels first or last, real numbers or codes, size of batches."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgekd.errors import ModelError

Run = Callable[[np.ndarray], np.ndarray]
"""A network's inputs, (N, ...) -> its outputs, (N, classes), both in the network's own layout and type."""

BATCH = 256


def axes_for(
    file_shape: Sequence[int | None], data_shape: tuple[int, ...], who: str, *, channels_last: bool = False
) -> tuple[int, ...]:
    """Return for each axis of the file's input the axis of a sample in torch's order.

    Args:
        file_shape: shape of the file's input without the batch; None where a size is open.
        data_shape: shape of a sample of the data, channels first.
        channels_last: which order to prefer where both would fit.
    """
    rank = len(data_shape)
    first, last = tuple(range(rank)), (*range(1, rank), 0)
    for axes in (last, first) if channels_last else (first, last):
        if len(file_shape) == rank and all(
            size in (None, data_shape[axis]) for size, axis in zip(file_shape, axes, strict=True)
        ):
            return axes
    text = ", ".join("any" if size is None else str(size) for size in file_shape)
    raise ModelError(
        f"{who} takes inputs of shape ({text}), and the data has {data_shape}, channels first",
        "a file for such inputs, or data that is prepared for the file",
    )


def to_file_axes(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Transpose a batch from torch's order of axes to the file's."""
    return np.ascontiguousarray(x.transpose(0, *(axis + 1 for axis in axes)))


def to_file_input(
    x: np.ndarray, dtype: np.dtype, scale: float | None, zero_point: int | None, *, pixels: bool, who: str
) -> np.ndarray:
    """Convert real numbers to the file's dtype; 8-bit inputs are quantised by the file's own scale.

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


def to_real(values: np.ndarray, scale: float | None, zero_point: int | None, who: str) -> np.ndarray:
    """Convert a file's outputs to real numbers, float32; integers are dequantised by the file's own scale."""
    if not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32)
    if not scale:
        raise ModelError(f"{who} gives {values.dtype} and does not say on which scale", "a file with float outputs")
    return (values.astype(np.float32) - (zero_point or 0)) * np.float32(scale)


def in_batches(x: np.ndarray, size: int | None, run: Run) -> np.ndarray:
    """Run x batch by batch; for a file of fixed batch size, the last batch is filled up by repeating a sample."""
    step, parts = size or BATCH, []
    for start in range(0, len(x), step):
        piece = x[start : start + step]
        missing = step - len(piece) if size else 0
        parts.append(run(np.concatenate([piece, *[piece[-1:]] * missing]) if missing else piece)[: len(piece)])
    return np.concatenate(parts)


def unreadable(path: Path, kind: str, error: Exception, remedy: str) -> ModelError:
    """Return the error for a file that its runtime could not read."""
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"teacher.file: {path.name} can't be read as {kind}: {first_line}", remedy)
