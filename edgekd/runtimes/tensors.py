"""The description of a file's inputs and outputs, and the checks that all runners share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd.errors import ModelError


@dataclass(frozen=True)
class TensorInfo:
    """The input or output of a file.

    Attributes:
        shape: of one sample, without the batch, in the file's own order.
        scale, zero_point: real = scale * (code - zero_point); None where the tensor is float.
        axes: torch's axis for each axis of `shape`; None where the order is torch's.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float | None = None
    zero_point: int | None = None
    axes: tuple[int, ...] | None = None


def check_batches(x: tuple[np.ndarray, ...], infos: tuple[TensorInfo, ...], path: Path) -> None:
    """Raise a ModelError for batches that the file would misread."""
    if len(x) != len(infos):
        raise ModelError(f"{path.name} takes {plural(len(infos), 'input')}, not {len(x)}", "give one array for each")
    for values, info in zip(x, infos, strict=True):
        check_batch(values, info, path)


def check_batch(x: np.ndarray, info: TensorInfo, path: Path) -> None:
    """Raise a ModelError for a batch that the file would misread."""
    if x.shape[1:] == info.shape and x.dtype == info.dtype:
        return
    raise ModelError(
        f"{path.name} takes (N, {', '.join(map(str, info.shape))}) {info.dtype}, not {x.shape} {x.dtype}",
        "quantise and lay out the batch as the runner's .input says",
    )


def check_file(path: Path) -> None:
    """Raise a ModelError for a path that is no file, whose own errors differ from runtime to runtime."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}", "edgekd build")


def plural(count: int, thing: str) -> str:
    """The count with its noun: "1 thread", "2 threads"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
