"""A teacher's stored answers: float16 shards for each augmentation view, read by the samples' positions.

A shard is a file `VIEW-NUMBER.npy`, (samples, *answer shape), of bounded size; `answers.json` lists them.
`answer_cache.py` makes them.

float16 keeps a logit to 1 part in 2,048. Every training reads the same bytes, resumed or not, so that its bits do not
depend on when it was killed.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from edgekd.data.batches import Batch, Views
from edgekd.data.splits import Splits
from edgekd.errors import ModelError, StoreError
from edgekd.nn.outputs import Outputs

INDEX = "answers.json"


@dataclass(frozen=True)
class Index:
    """The content of `answers.json`.

    Attributes:
        views: number of views whose answers are stored.
        seed: seed of the views.
        any_view: the answers of view 0 hold for every view, because nothing is augmented, or because the answers came
            without their teacher.
        rows: samples of a shard.
        sha256: file's name -> hash.
    """

    views: int
    seed: int
    any_view: bool
    samples: int
    answer_shape: tuple[int, ...]
    rows: int
    sha256: dict[str, str]


def shard_name(view: int, number: int) -> str:
    """Return the name of a shard's file."""
    return f"{view:03d}-{number:05d}.npy"


def save_index(folder: Path, index: Index) -> None:
    """Write `answers.json`."""
    (folder / INDEX).write_text(json.dumps(asdict(index), indent=1) + "\n", encoding="utf-8")


def load_index(folder: Path) -> Index:
    """Read `answers.json`; StoreError where it can't be read."""
    try:
        facts = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return Index(**{**facts, "answer_shape": tuple(facts["answer_shape"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"the answers in {folder} can't be read: {error}", f"rm -r {folder}, and build again"
        ) from error


def check_shape(shape: tuple[int, ...], expected: tuple[int, ...], splits: Splits) -> None:
    """Raise ModelError where a teacher's answers, (N, ...), have another shape than the student's."""
    if shape != expected:
        answers = splits.task.answers
        raise ModelError(
            f"the teacher gives {answers.kind} of shape {shape}, the student of shape {expected}",
            f"a teacher for the data's {answers.form(splits.answer_shape)}",
        )


def views_of(folder: Path | None) -> Views | None:
    """Return the views that a training by the stored answers cycles through; None where each epoch may draw its own."""
    if folder is None:
        return None
    index = load_index(folder)
    return Views(index.seed, index.views) if index.views and not index.any_view else None


class StoredAnswers:
    """A teacher that reads its answers from shards, which are memory-mapped, one view at a time."""

    def __init__(self, folder: Path, splits: Splits) -> None:
        self.folder, self.index = folder, load_index(folder)
        stored, expected = (self.index.samples, self.index.answer_shape), (len(splits.train), splits.answer_shape)
        if stored != expected:
            form = splits.task.answers.form
            raise ModelError(
                f"stored answers for {stored[0]:,} samples and {form(stored[1])}, where the data has {expected[0]:,} "
                f"and {form(expected[1])}",
                f"rm -r {folder}, and build again",
            )
        self._view, self._shards = -1, dict[int, np.ndarray]()

    def __contains__(self, batch: Batch) -> bool:
        """Return whether the answers to this batch are stored."""
        return self.index.any_view or (batch.view is not None and batch.view < self.index.views)

    def __call__(self, batch: Batch) -> Outputs:
        """Return answers (N, *answer shape), float32, on the batch's device."""
        view = 0 if self.index.any_view or batch.view is None else batch.view
        if view != self._view:
            self._view, self._shards = view, {}
        positions = batch.index.cpu().numpy()
        answers = self._rows(positions).astype(np.float32)
        return Outputs(torch.from_numpy(answers).to(batch.x.device), index=batch.index)

    def _rows(self, positions: np.ndarray) -> np.ndarray:
        numbers = positions // self.index.rows
        if numbers.min() == numbers.max():
            rows: np.ndarray = self._shard(int(numbers[0]))[positions - numbers[0] * self.index.rows]
            return rows
        answers = np.empty((len(positions), *self.index.answer_shape), np.float16)
        for number in np.unique(numbers):
            in_shard = numbers == number
            answers[in_shard] = self._shard(int(number))[positions[in_shard] - number * self.index.rows]
        return answers

    def _shard(self, number: int) -> np.ndarray:
        if number not in self._shards:
            name = shard_name(self._view, number)
            self._shards[number] = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        return self._shards[number]
