"""The three parts of a data set, as every later stage uses them, and their folder on disk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd import catalog
from edgekd.errors import ConfigError, StoreError
from edgekd.tasks.classification import CLASSIFICATION
from edgekd.tasks.task import Task

PARTS = ("train", "validation", "test")
UNITS = "units.json"
POSITIONS = "positions.npz"
Positions = Mapping[str, np.ndarray]
"""The positions of the samples of `train` and `validation` among the data set's own training samples, and their count
`total`."""


def open_task(name: str) -> Task:
    """Return the task of this name in the catalog, or the user's own; ConfigError where it is no task."""
    task = catalog.load("task", name)
    if not isinstance(task, Task):
        raise ConfigError(f"task {name!r} is a {type(task).__name__}", "name an edgekd.tasks.task.Task")
    return task.with_name(name)


def load_positions(folder: Path) -> Positions:
    """Read the file `POSITIONS` in the folder of a data set's splits; return an empty mapping where there is none."""
    if not (folder / POSITIONS).is_file():
        return {}
    with np.load(folder / POSITIONS, allow_pickle=False) as archive:
        return dict(archive)


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        x: inputs, (N, C, H, W) or (N, ...), uint8 or float32, or tokens (N, length), int32; may be memory-mapped.
        y: the task's targets, (N, ...): class indices (N,), int64, in classification.
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Splits:
    """A data set in three parts: training uses `train`, choices use `validation`, and `test` is reported.

    Attributes:
        classes: names of the classes, in the order of the labels; () in a task without classes.
        mean, std: mean and standard deviation per channel (axis 1 of `x`), on the scale [0, 1] where inputs are uint8;
            0 and 1 where inputs are tokens.
        vocabulary: the word of each token, where inputs are tokens; else empty.
        task: the task that is learnt from the data.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    vocabulary: tuple[str, ...] = ()
    task: Task = CLASSIFICATION

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """The shape of a network's answer to one input: (classes,) in classification."""
        return self.task.answers.shape(self.classes, self.train.y)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without N."""
        return tuple(int(n) for n in self.train.x.shape[1:])

    @property
    def example(self) -> Tensor:
        """An input for networks, without N: zeros, float32, or tokens 0, int32."""
        return torch.zeros(self.input_shape, dtype=torch.int32 if self.vocabulary else torch.float32)

    @property
    def scale(self) -> float:
        """The factor of raw inputs before `mean` and `std` apply: 1/255 for uint8, else 1."""
        return 1 / 255 if self.train.x.dtype == np.uint8 else 1.0

    def in_units_of(self, folder: Path) -> "Splits":
        """Return the same data with the `mean` and `std` of the network in `folder`, where it has its own."""
        if not (folder / UNITS).is_file():
            return self
        units = json.loads((folder / UNITS).read_text(encoding="utf-8"))
        return replace(self, mean=tuple(units["mean"]), std=tuple(units["std"]))

    def save_units(self, folder: Path) -> None:
        """Write `mean` and `std` to the folder of a network that takes inputs with this normalisation."""
        units = {"mean": list(self.mean), "std": list(self.std)}
        (folder / UNITS).write_text(json.dumps(units, indent=1) + "\n", encoding="utf-8")

    def save(self, folder: Path) -> None:
        """Write one .npy per array and `splits.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            split: Split = getattr(self, part)
            np.save(folder / f"{part}_x.npy", split.x, allow_pickle=False)
            np.save(folder / f"{part}_y.npy", split.y, allow_pickle=False)
        names = ("classes", "mean", "std", *(("vocabulary",) if self.vocabulary else ()))
        facts = {"task": self.task.name, **{name: list(getattr(self, name)) for name in names}}
        (folder / "splits.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, mmap: bool = True, *, test: bool = True) -> "Splits":
        """Read the files of `save`; inputs are memory-mapped, unless `mmap` is off.

        Args:
            test: whether to read the test part; False leaves it empty and its files unopened, for choosing settings.
        """
        mode = "r" if mmap else None
        try:
            facts = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
            parts = {
                part: Split(
                    np.load(folder / f"{part}_x.npy", mmap_mode=mode, allow_pickle=False),  # type: ignore[arg-type]
                    np.load(folder / f"{part}_y.npy", allow_pickle=False),
                )
                for part in PARTS
                if test or part != "test"
            }
            if not test:
                parts["test"] = Split(parts["train"].x[:0], parts["train"].y[:0])
            classes, mean, std = (tuple(facts[name]) for name in ("classes", "mean", "std"))
            vocabulary, task = tuple(facts.get("vocabulary", ())), open_task(facts["task"])
            return cls(parts["train"], parts["validation"], parts["test"], classes, mean, std, vocabulary, task)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"the data kept in {folder} can't be read: {error}", f"delete {folder} and build again"
            ) from error
