"""What a runner tells about a file's input and output, and the checks that all runners share."""

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
        axes: which of torch's axes each axis of `shape` is; None where they are torch's own.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float | None = None
    zero_point: int | None = None
    axes: tuple[int, ...] | None = None


def check_batches(x: tuple[np.ndarray, ...], infos: tuple[TensorInfo, ...], path: Path) -> None:
    """Refuse batches that the file would misread."""
    if len(x) != len(infos):
        raise ModelError(f"{path.name} takes {plural(len(infos), 'input')}, not {len(x)}", "give one array for each")
    for values, info in zip(x, infos, strict=True):
        check_batch(values, info, path)


def check_batch(x: np.ndarray, info: TensorInfo, path: Path) -> None:
    """Refuse a batch that the file would misread."""
    if x.shape[1:] == info.shape and x.dtype == info.dtype:
        return
    raise ModelError(
        f"{path.name} takes (N, {', '.join(map(str, info.shape))}) {info.dtype}, not {x.shape} {x.dtype}",
        "quantise and lay out the batch as the runner's .input says",
    )


def check_file(path: Path) -> None:
    """Refuse a path that is no file, before a runtime words it in its own way."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}", "edgekd build")


def plural(count: int, thing: str) -> str:
    """1 thread, 2 threads"""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
