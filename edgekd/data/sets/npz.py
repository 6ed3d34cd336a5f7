"""Arrays in one .npz file: x_train, y_train, x_test, y_test, and where they exist x_val, y_val and classes."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.sets.roots import file
from edgekd.errors import DataError

HOLDS = "an .npz with x_train, y_train, x_test and y_test"
PARTS = {"train": "train", "validation": "val", "test": "test"}


def npz(root: Path | None = None) -> dict[str, Any]:
    """Read inputs (N, ...), images as (N, C, H, W), and labels (N,) from the file `root`, without unpickling."""
    path = file(root, "npz", HOLDS)
    arrays = _arrays(path)
    raw: dict[str, Any] = {}
    for part, suffix in PARTS.items():
        names = (f"x_{suffix}", f"y_{suffix}")
        missing = [name for name in names if name not in arrays]
        if part == "validation" and len(missing) == 2:
            continue
        if missing:
            names_in_file = ", ".join(arrays) or "nothing"
            raise DataError(f"{path} has no {missing[0]}; it holds {names_in_file}", f"np.savez(..., {missing[0]}=...)")
        raw[part] = (arrays[names[0]], arrays[names[1]])
    if "classes" in arrays:
        raw["classes"] = [str(name) for name in arrays["classes"]]
    return raw


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        archive = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        # NumPy treats every file that is no archive as a pickle, and suggests to load it as one.
        why = "" if "pickle" in str(error) else f": {error}"
        raise DataError(f"{path} is no .npz file{why}", "np.savez(file, x_train=..., y_train=..., ...)") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError(f"{path} holds one array, not several by name", "np.savez(file, x_train=..., y_train=..., ...)")
    with archive:
        return {name: _array(archive, path, name) for name in archive.files}


def _array(archive: np.lib.npyio.NpzFile, path: Path, name: str) -> np.ndarray:
    try:
        array: np.ndarray = archive[name]
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{name} in {path} can't be read: {error}",
            "write it again with np.savez, as an array of numbers: an array of objects is not loaded",
        ) from error
    return array
