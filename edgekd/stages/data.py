"""The data stage: it reads the data set, checks it, and writes its three parts for the later stages."""

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
class CheckedData:
    """A data set that has passed all checks.

    Attributes:
        notes: remarks for the user.
        positions: the indices of the samples of "train", and of "validation" where that part was split off from it,
            among the training samples of the data set; "total" is the number of those.
    """

    splits: Splits
    notes: tuple[str, ...]
    positions: dict[str, np.ndarray] = field(default_factory=dict)


def examine(config: Config) -> CheckedData:
    """Load and check the data set of `config` without writing anything.

    Raises:
        DataError, ConfigError: the data set can't be trained on with these settings.
    """
    data, task = config.data, open_task(config.task)
    raw = check_data(load(data, task.targets), task)
    notes = list(raw.notes)
    total = len(raw.parts["train"])
    raw, positions = _add_validation(raw, data.validation, config.seed, notes, task.targets)
    train = raw.parts["train"]
    if data.limit is not None and data.limit < len(train):
        train, indices = _limit_training_set(train, data.limit, config.seed, task.targets)
        positions["train"] = positions["train"][indices]
        notes.append(f"data.limit: {data.limit} of {len(raw.parts['train'])} training samples are used")
    mean, std = _statistics(train.x, data, raw, notes)
    assert raw.classes is not None
    splits = Splits(train, raw.parts["validation"], raw.parts["test"], raw.classes, mean, std, raw.vocabulary, task)
    if data.augment != Augment() and applicable(data.augment, splits) == Augment():
        notes.append(
            f"augmentation is off: inputs of shape {splits.input_shape} are no images (channels, height, width)"
        )
    _check_augmentation(data.augment, splits)
    return CheckedData(splits, tuple(notes), {**positions, "total": np.array(total)})


def run(config: Config, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write the splits to `out`."""
    data_set = examine(config)
    splits = data_set.splits
    splits.save(out)
    np.savez(out / POSITIONS, allow_pickle=False, **data_set.positions)
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
        "notes": list(data_set.notes),
    }


def _add_validation(
    raw: Raw, share: float, seed: int, notes: list[str], targets: Targets
) -> tuple[Raw, dict[str, np.ndarray]]:
    """Use the data set's validation part, or split one off at random, as the task divides its targets."""
    if "validation" in raw.parts:
        return raw, {"train": np.arange(len(raw.parts["train"]))}
    train = raw.parts["train"]
    count = round(share * len(train))
    largest_count = len(train) - targets.strata(train.y)
    if not 1 <= count <= largest_count:
        raise DataError(
            f"{len(train)} training samples: {share:g} of them makes {count} for validation, of 1 ... "
            f"{largest_count} possible",
            "more training samples, a validation part, or another data.validation",
        )
    train_indices, validation_indices = targets.divide(train.y, count, seed)
    notes.append(f"the data set has no validation part: {count} of {len(train)} training samples were set aside")
    parts = {
        **raw.parts,
        "train": Split(train.x[train_indices], train.y[train_indices]),
        "validation": Split(train.x[validation_indices], train.y[validation_indices]),
    }
    return replace(raw, parts=parts), {"train": train_indices, "validation": validation_indices}


def _limit_training_set(train: Split, limit: int, seed: int, targets: Targets) -> tuple[Split, np.ndarray]:
    classes = targets.strata(train.y)
    if limit < classes:
        raise ConfigError(
            f"data.limit = {limit} leaves out classes: there are {classes}", f"data.limit = {10 * classes}"
        )
    indices, _ = targets.divide(train.y, len(train) - limit, seed)
    return Split(train.x[indices], train.y[indices]), indices


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
    computed_mean, computed_std = _channel_statistics(x)
    constant_channels = np.flatnonzero(computed_std == 0)
    if len(constant_channels) and std is None:
        notes.append(
            f"{len(constant_channels)} of {channels} channels (the first: {constant_channels[0]}) "
            "are constant over the training split"
        )
        computed_std[constant_channels] = 1.0
    return mean or tuple(computed_mean.tolist()), std or tuple(computed_std.tolist())


def _channel_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of each channel in float64; uint8 inputs are scaled to [0, 1].

    Flat bytes (N, features) share one mean and one deviation. They are an image's pixels: a corner pixel that is almost
    always 0 would otherwise reach hundreds of its own deviations, and stretch the int8 range of the input.
    """
    scale = 1 / 255 if x.dtype == np.uint8 else 1.0
    axes = (0, 1) if x.ndim == 2 and x.dtype == np.uint8 else (0, *range(2, x.ndim))
    count = x.size // (1 if axes == (0, 1) else x.shape[1])
    mean = sum(x[chunk].sum(axis=axes, dtype=np.float64) for chunk in chunks(x)) / count
    broadcast_mean = np.reshape(mean, (1, -1) + (1,) * (x.ndim - 2))
    variance = sum(np.square(x[chunk] - broadcast_mean).sum(axis=axes) for chunk in chunks(x)) / count
    ones = np.ones(x.shape[1])
    return ones * mean * scale, ones * np.sqrt(variance) * scale


def _check_augmentation(augment: Augment, splits: Splits) -> None:
    if applicable(augment, splits) == Augment():
        return
    height, width = splits.input_shape[1:]
    if augment.shift >= min(height, width):
        raise ConfigError(
            f"data.augment.shift = {augment.shift} can push images of {height}x{width} pixels out of sight",
            f"data.augment.shift = {max(1, min(height, width) // 8)}",
        )
