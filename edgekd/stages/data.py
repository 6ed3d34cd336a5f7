"""data: reads the data set, checks it, and lays its three parts out for every later stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.config import Augment, Config, Data
from edgekd.data.batches import applicable
from edgekd.data.checks import check_data, chunks
from edgekd.data.loading import Raw, load
from edgekd.data.splits import PARTS, POSITIONS, Split, Splits, open_task
from edgekd.errors import ConfigError, DataError
from edgekd.tasks.task import Targets

VERSION = 3


@dataclass(frozen=True)
class Examined:
    """A data set that can be trained on, and what its reader should know of it.

    Attributes:
        positions: of the samples of train, and of validation where it came from there, among `total`, the training
            samples that the data set has.
    """

    splits: Splits
    notes: tuple[str, ...]
    positions: dict[str, np.ndarray] = field(default_factory=dict)


def examine(config: Config) -> Examined:
    """Load and check the data set of `config`, writing nothing; DataError or ConfigError where it can't be used."""
    data, task = config.data, open_task(config.task)
    raw = check_data(load(data, task.targets), task)
    notes = list(raw.notes)
    total = len(raw.parts["train"])
    raw, positions = _with_validation(raw, data.validation, config.seed, notes, task.targets)
    train = raw.parts["train"]
    if data.limit is not None and data.limit < len(train):
        train, left = _limited(train, data.limit, config.seed, task.targets)
        positions["train"] = positions["train"][left]
        notes.append(f"data.limit: {data.limit} of {len(raw.parts['train'])} training samples are used")
    mean, std = _statistics(train.x, data, raw, notes)
    assert raw.classes is not None
    splits = Splits(train, raw.parts["validation"], raw.parts["test"], raw.classes, mean, std, raw.vocabulary, task)
    if data.augment != Augment() and applicable(data.augment, splits) == Augment():
        notes.append(
            f"augmentation is off: inputs of shape {splits.input_shape} are no images (channels, height, width)"
        )
    _augmentation_fits(data.augment, splits)
    return Examined(splits, tuple(notes), {**positions, "total": np.array(total)})


def run(config: Config, read: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Leave the splits in `out`."""
    examined = examine(config)
    splits = examined.splits
    splits.save(out)
    np.savez(out / POSITIONS, allow_pickle=False, **examined.positions)
    parts = {part: getattr(splits, part) for part in PARTS}
    return {
        **{part: len(split) for part, split in parts.items()},
        "classes": list(splits.classes),
        "input_shape": list(splits.input_shape),
        "dtype": str(splits.train.x.dtype),
        "vocabulary": len(splits.vocabulary),
        "mean": list(splits.mean),
        "std": list(splits.std),
        "targets": {part: splits.task.targets.summarise(split.y, splits.classes) for part, split in parts.items()},
        "notes": list(examined.notes),
    }


def _with_validation(
    raw: Raw, share: float, seed: int, notes: list[str], targets: Targets
) -> tuple[Raw, dict[str, np.ndarray]]:
    """The data set's own validation part, or one set aside from train by chance, as the task divides its targets."""
    if "validation" in raw.parts:
        return raw, {"train": np.arange(len(raw.parts["train"]))}
    train = raw.parts["train"]
    count = round(share * len(train))
    most = len(train) - targets.strata(train.y)
    if not 1 <= count <= most:
        raise DataError(
            f"{len(train)} training samples: {share:g} of them makes {count} for validation, of 1 ... {most} possible",
            "more training samples, a validation part, or another data.validation",
        )
    left, taken = targets.divide(train.y, count, seed)
    notes.append(f"the data set has no validation part: {count} of {len(train)} training samples were set aside")
    parts = {
        **raw.parts,
        "train": Split(train.x[left], train.y[left]),
        "validation": Split(train.x[taken], train.y[taken]),
    }
    return replace(raw, parts=parts), {"train": left, "validation": taken}


def _limited(train: Split, limit: int, seed: int, targets: Targets) -> tuple[Split, np.ndarray]:
    classes = targets.strata(train.y)
    if limit < classes:
        raise ConfigError(
            f"data.limit = {limit} leaves out classes: there are {classes}", f"data.limit = {10 * classes}"
        )
    left, _ = targets.divide(train.y, len(train) - limit, seed)
    return Split(train.x[left], train.y[left]), left


def _statistics(x: np.ndarray, data: Data, raw: Raw, notes: list[str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if raw.vocabulary:
        if data.mean or data.std:
            raise ConfigError("data.mean and data.std are of numbers, and the inputs are tokens", "leave them out")
        return (0.0,), (1.0,)
    channels = x.shape[1]
    mean, std = data.mean or raw.mean, data.std or raw.std
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) != channels:
            raise ConfigError(
                f"data.{name} has {len(values)} values, and the inputs {channels} channels (axis 1 of {x.shape})",
                f"{channels} values, or leave data.{name} out: it is computed",
            )
    if std is not None and min(std) <= 0:
        raise ConfigError(f"data.std = {list(std)}: inputs are divided by it", "values above 0, or leave data.std out")
    if mean is not None and std is not None:
        return mean, std
    computed_mean, computed_std = _measured(x)
    flat = np.flatnonzero(computed_std == 0)
    if len(flat) and std is None:
        notes.append(f"{len(flat)} of {channels} channels (the first: {flat[0]}) are constant over the training split")
        computed_std[flat] = 1.0
    return mean or tuple(computed_mean.tolist()), std or tuple(computed_std.tolist())


def _measured(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel, in float64; of uint8 inputs on the scale [0, 1].

    Flat bytes (N, features) share one mean and one deviation: they are an image's pixels, and the rare ink of a corner
    pixel would otherwise count for hundreds of deviations, and stretch the int8 range of the input.
    """
    scale = 1 / 255 if x.dtype == np.uint8 else 1.0
    axes = (0, 1) if x.ndim == 2 and x.dtype == np.uint8 else (0, *range(2, x.ndim))
    count = x.size // (1 if axes == (0, 1) else x.shape[1])
    mean = sum(x[some].sum(axis=axes, dtype=np.float64) for some in chunks(x)) / count
    shaped = np.reshape(mean, (1, -1) + (1,) * (x.ndim - 2))
    square = sum(np.square(x[some] - shaped).sum(axis=axes) for some in chunks(x)) / count
    ones = np.ones(x.shape[1])
    return ones * mean * scale, ones * np.sqrt(square) * scale


def _augmentation_fits(augment: Augment, splits: Splits) -> None:
    if applicable(augment, splits) == Augment():
        return
    height, width = splits.input_shape[1:]
    if augment.shift >= min(height, width):
        raise ConfigError(
            f"data.augment.shift = {augment.shift} can push images of {height}x{width} pixels out of sight",
            f"data.augment.shift = {max(1, min(height, width) // 8)}",
        )
