"""The files of the MNIST family (MNIST, Fashion-MNIST, KMNIST): idx, gzipped or not."""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.sets.roots import contents, first_of, folder
from edgekd.errors import DataError

HOLDS = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (or .gz)"
# The third byte of the file says the type of its numbers, which are big-endian (LeCun's page on MNIST).
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"


def idx(root: Path | None = None) -> dict[str, Any]:
    """Images (N, 1, H, W) and their labels; `root` is the folder that holds the four files."""
    place = folder(root, "idx", HOLDS)
    return {"train": _part(place, "train"), "test": _part(place, "t10k")}


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an idx file; DataError where its header and its contents disagree."""
    data = contents(path)
    if data[:2] == GZIP:
        data = _unzip(path, data)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES:
        raise DataError(
            f"{path} is no idx file: it begins with {data[:4].hex(' ') or 'nothing'}", f"replace {path.name}"
        )
    dtype, rank = np.dtype(TYPES[data[2]]), data[3]
    header = 4 + 4 * rank
    shape = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4")) if len(data) >= header else ()
    expected = header + prod(shape) * dtype.itemsize
    if len(shape) != rank or len(data) != expected:
        raise DataError(
            f"{path} holds {len(data):,} bytes, and its header promises {expected:,} (shape {shape})",
            f"download {path.name} again",
        )
    return np.frombuffer(data, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _part(place: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images_file, labels_file = _find(place, f"{part}-images", 3), _find(place, f"{part}-labels", 1)
    images, labels = read_idx(images_file), read_idx(labels_file)
    for path, array, rank in ((images_file, images, 3), (labels_file, labels, 1)):
        if array.ndim != rank:
            raise DataError(f"{path} holds an array of rank {array.ndim}, not {rank}", f"replace {path.name}")
    return images[:, None], labels.astype(np.int64)


def _find(place: Path, stem: str, rank: int) -> Path:
    plain = [f"{stem}-idx{rank}-ubyte", f"{stem}.idx{rank}-ubyte"]
    return first_of(place, [*plain, *(f"{name}.gz" for name in plain)])


def _unzip(path: Path, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file: {error}", f"download {path.name} again") from error
