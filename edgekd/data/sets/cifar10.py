"""CIFAR-10 in its binary version: a label byte and 3 x 32 x 32 pixels per image (Krizhevsky, 2009)."""

from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.sets.roots import contents, first_of, folder
from edgekd.errors import DataError

ARCHIVE = "cifar-10-batches-bin"  # the folder inside the published archive
HOLDS = "data_batch_1.bin ... data_batch_5.bin, test_batch.bin and batches.meta.txt"
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32


def cifar10(root: Path | None = None) -> dict[str, Any]:
    """Images (N, 3, 32, 32); `root` is the folder that holds the batches, or the one above it."""
    place = folder(root, "cifar10", HOLDS)
    if (place / ARCHIVE).is_dir():
        place = place / ARCHIVE
    names = contents(first_of(place, ["batches.meta.txt"])).decode("utf-8", errors="replace").split()
    batches = [_batch(first_of(place, [f"data_batch_{number}.bin"])) for number in range(1, 6)]
    train = np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])
    return {"train": train, "test": _batch(first_of(place, ["test_batch.bin"])), "classes": names}


def _batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    data = np.frombuffer(contents(path), np.uint8)
    if not len(data) or len(data) % RECORD:
        raise DataError(
            f"{path} holds {len(data):,} bytes, which is no whole number of images of {RECORD:,} bytes",
            f"download {path.name} again: CIFAR-10's binary version",
        )
    rows = data.reshape(-1, RECORD)
    return rows[:, 1:].reshape(-1, *SHAPE), rows[:, 0].astype(np.int64)
