"""A folder of images: one folder per class, under train/ and test/ (and validation/), or right under the root."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.sets.roots import folder
from edgekd.errors import ConfigError, DataError, MissingExtraError
from edgekd.tasks.division import stratified

HOLDS = "train/<class>/*.png and test/<class>/*.png (jpg, bmp, webp too), or <class>/*.png"
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
MODES = {1: "L", 3: "RGB"}
SPLIT_SEED = 0


def images(
    root: Path | None = None, size: int | Sequence[int] | None = None, channels: int = 3, test: float = 0.2
) -> dict[str, Any]:
    """Images (N, channels, H, W), uint8; classes are the names of the folders, in order.

    Args:
        size: [height, width], or one number for both, to which images are scaled; by default they stay as they are.
        channels: 3 for colour, 1 for grey.
        test: share of each class that becomes the test part, the same for every seed, where there is no test folder.
    """
    if channels not in MODES:
        raise ConfigError(f"data.channels = {channels}: images have 1 channel or 3", "data.channels = 3")
    if not 0 < test < 1:
        raise ConfigError(f"data.test = {test} is no share", "data.test = 0.2")
    height_and_width = _height_and_width(size)
    place = folder(root, "images", HOLDS)
    parts = {PARTS[path.name]: path for path in _folders(place) if path.name in PARTS}
    if parts and not {"train", "test"} <= parts.keys():
        missing = "train" if "train" not in parts else "test"
        raise DataError(
            f"{place} has {', '.join(path.name for path in parts.values())}, and no folder {missing}",
            f"make {place / missing}, or put the folders of the classes right under data.root",
        )
    classes = [path.name for path in _folders(parts.get("train", place))]
    if not classes:
        raise DataError(f"there are no folders of classes in {parts.get('train', place)}", f"data.root with {HOLDS}")
    notes: list[str] = []
    raw: dict[str, Any] = {"classes": classes, "notes": notes}
    for part, path in (parts or {"train": place}).items():
        raw[part] = _read(path, classes, height_and_width, channels, notes)
    if not parts:
        _split_off_test(raw, test, notes)
    return raw


def _read(
    part: Path, classes: list[str], size: tuple[int, int] | None, channels: int, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    unknown = [path.name for path in _folders(part) if path.name not in classes]
    if unknown:
        raise DataError(
            f"{part / unknown[0]} is a class that train does not have", f"remove {unknown[0]}, or add it to train"
        )
    files: list[Path] = []
    labels: list[int] = []
    others = 0
    for label, name in enumerate(classes):
        if not (part / name).is_dir():
            continue
        for path in sorted((part / name).rglob("*")):
            if not path.is_file() or path.name.startswith("."):
                continue
            if path.suffix.lower() not in SUFFIXES:
                others += 1
                continue
            files.append(path)
            labels.append(label)
    if others:
        notes.append(f"{others} files in {part} were left out: they are no {', '.join(sorted(SUFFIXES))}")
    if not files:
        raise DataError(f"there are no images in {part}", f"data.root with {HOLDS}")
    first = _decode(files[0], size, channels)
    x = np.empty((len(files), *first.shape), np.uint8)
    for number, path in enumerate(files):
        image = _decode(path, size, channels)
        if image.shape != first.shape:
            raise DataError(
                f"{path} has {_pixels(image)} pixels, and {files[0]} {_pixels(first)}",
                f"--set data.size={first.shape[1]} scales all of them",
            )
        x[number] = image
    return x, np.array(labels, np.int64)


def _decode(path: Path, size: tuple[int, int] | None, channels: int) -> np.ndarray:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "data set 'images' needs Pillow, which is not installed", "pip install 'edgekd[images]'"
        ) from error
    try:
        with Image.open(path) as file:
            image = file.convert(MODES[channels])
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} can't be read as an image: {error}", "replace it, or take it out") from error
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.uint8)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _pixels(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[2]}"


def _split_off_test(raw: dict[str, Any], share: float, notes: list[str]) -> None:
    x, y = raw["train"]
    most = len(y) - len(np.unique(y))
    if most == 0:
        raise DataError(
            "there is one image of each class, so none is left for a test part", "more images, or a folder test"
        )
    train, test = stratified(y, min(max(1, round(share * len(y))), most), SPLIT_SEED)
    raw["train"], raw["test"] = (x[train], y[train]), (x[test], y[test])
    notes.append(f"there is no folder test: {len(test)} of {len(y)} images were set aside as the test part")


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _height_and_width(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise ConfigError(f"data.size = {size} is no size", "data.size = 32, or data.size = [height, width]")
    return pair[0], pair[1]
