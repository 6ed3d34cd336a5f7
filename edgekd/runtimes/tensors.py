"""Gives all runners the description of a file's inputs and outputs, and the checks of paths and batches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd.errors import ModelError


@dataclass(frozen=True)
class TensorInfo:
    """The input or output of a file.

    Attributes:
        name: the name of the tensor in the file.
        shape: the shape of one sample, without the batch, in the file's order.
        dtype: the dtype of the tensor in the file.
        scale, zero_point: the quantization, real = scale * (code - zero_point); None if the tensor is float.
        axes: torch's axis for each axis of `shape`; None if the order is torch's.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float | None = None
    zero_point: int | None = None
    axes: tuple[int, ...] | None = None


def check_batches(x: tuple[np.ndarray, ...], infos: tuple[TensorInfo, ...], path: Path) -> None:
    """Raise a ModelError if the number of batches, a shape or a dtype does not match the file's inputs."""
    if len(x) != len(infos):
        raise ModelError(f"{path.name} takes {plural(len(infos), 'input')}, not {len(x)}", "give one array for each")
    for values, info in zip(x, infos, strict=True):
        check_batch(values, info, path)


def check_batch(x: np.ndarray, info: TensorInfo, path: Path) -> None:
    """Raise a ModelError if the batch's shape or dtype does not match the file's input."""
    if x.shape[1:] == info.shape and x.dtype == info.dtype:
        return
    raise ModelError(
        f"{path.name} takes (N, {', '.join(map(str, info.shape))}) {info.dtype}, not {x.shape} {x.dtype}",
        "quantise and lay out the batch as the runner's .input says",
    )


def check_file(path: Path) -> None:
    """Raise a ModelError if there is no such file, since the errors of the runtimes differ."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}", "edgekd build")


def plural(count: int, thing: str) -> str:
    """Return the count with its noun: "1 thread", "2 threads"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
