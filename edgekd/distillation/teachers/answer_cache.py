"""Runs a teacher once on every training sample in every view, and stores its answers (see answers.py).

A shard is complete or absent: it is written to a temporary file and renamed, and its hash lies beside it until all
shards are written. A killed run goes on with the missing shards; a shard whose bytes do not match its hash is computed
again. Under torchrun the shards are shared out among the processes. Answers are clamped to float16's range, +-65,504.
"""

import hashlib
import io
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd.config import Augment
from edgekd.data.augmentation import draw
from edgekd.data.batches import Batch, Views, batch_at
from edgekd.data.splits import Splits
from edgekd.disk import file_sha256
from edgekd.distillation.run import Teacher
from edgekd.distillation.teachers.answers import Index, check_shape, save_index, shard_name
from edgekd.errors import ModelError, StoreError
from edgekd.training import distributed
from edgekd.training.progress import progress, say

SHARD_BYTES = 32 * 2**20
BATCH = 256
LARGE_BYTES = 2**30  # size from which a note says how much space the answers take


def size_bytes(samples: int, answer_shape: tuple[int, ...], views: int) -> int:
    """Return the bytes that the answers will take on the disk, in float16."""
    return 2 * samples * math.prod(answer_shape) * views


def check_space(folder: Path, samples: int, answer_shape: tuple[int, ...], views: int, stored_bytes: int = 0) -> str:
    """Return a note where the answers are large, else "".

    Args:
        stored_bytes: bytes that an earlier run has stored there already.

    Raises:
        StoreError: the disk of `folder` can't hold the answers.
    """
    size, free = size_bytes(samples, answer_shape, views), shutil.disk_usage(folder).free
    what = f"the teacher's answers to {views} view{'s' * (views != 1)} of {samples:,} samples take {_amount(size)}"
    if size - stored_bytes > free:
        raise StoreError(
            f"{what}; {folder} has {_amount(free)} left",
            "--set distill.views=0, which asks the teacher in the loop, fewer views, or a larger disk: --store DIR",
        )
    return what if size >= LARGE_BYTES else ""


def write(
    folder: Path,
    teacher: Teacher,
    splits: Splits,
    views: Views,
    augment: Augment,
    *,
    any_view: bool = False,
    device: torch.device | str = "cpu",
    shard_bytes: int = SHARD_BYTES,
) -> list[str]:
    """Store the teacher's answers to every training sample in every view in `folder`, and return notes for the report.

    Args:
        any_view: the answers of view 0 hold for every view; written to the index.
        shard_bytes: largest size of a shard.

    Raises:
        StoreError: the disk is too small.
        ModelError: the teacher's answers have the wrong shape, or are not finite.
    """
    samples, shape = len(splits.train), splits.answer_shape
    rows = min(samples, max(1, shard_bytes // (2 * math.prod(shape))))
    shards = [(view, start) for view in range(views.count) for start in range(0, samples, rows)]
    names = {pair: shard_name(pair[0], pair[1] // rows) for pair in shards}
    note, states = distributed.from_main(
        lambda: (
            check_space(folder, samples, shape, views.count, _stored_bytes(folder)),
            _states(folder, names.values()),
        )
    )
    notes = [note] * bool(note)
    for name, state in states.items():
        if state == "damaged":
            notes.append(f"{name} was damaged: its answers were computed again")
            say(f"answers: {notes[-1]}")
    own_shards = [pair for pair in shards if states[names[pair]] != "good"][distributed.rank() :: distributed.world()]
    with progress("answers: asking the teacher", sum(min(rows, samples - start) for _, start in own_shards)) as advance:
        for view, start in own_shards:
            positions = range(start, min(start + rows, samples))
            answers = _compute_answers(teacher, splits, view, positions, augment, views.seed, device, advance)
            _save_shard(folder / names[view, start], answers)
    distributed.barrier()
    if distributed.is_main():
        hashes = {name: _expected_hash(folder / name) for name in names.values()}
        save_index(folder, Index(views.count, views.seed, any_view, samples, shape, rows, hashes))
    distributed.barrier()
    return notes


def clear_away(folder: Path) -> None:
    """Remove the hashes and temporary files, which only a run that was killed needs."""
    for file in (*folder.glob("*.sha256"), *folder.glob("*.part")):
        file.unlink()


def _compute_answers(
    teacher: Teacher,
    splits: Splits,
    view: int,
    positions: range,
    augment: Augment,
    seed: int,
    device: torch.device | str,
    advance: Callable[[int, str], None],
) -> np.ndarray:
    draws = draw(len(splits.train), augment, seed, view)
    parts = []
    for piece in _pieces(positions):
        batch = batch_at(piece, splits.train, splits, augment=augment, draws=draws, view=view, device=device)
        answers = teacher(batch).logits
        _check(answers, batch, splits)
        parts.append(answers.float().clamp(-65504, 65504).to(torch.float16).cpu().numpy())
        advance(len(parts[-1]), f"view {view + 1}")
    return np.concatenate(parts)


def _pieces(positions: range) -> Iterator[slice]:
    for start in range(positions.start, positions.stop, BATCH):
        yield slice(start, min(start + BATCH, positions.stop))


def _check(answers: Tensor, batch: Batch, splits: Splits) -> None:
    check_shape(tuple(answers.shape), (len(batch.y), *splits.answer_shape), splits)
    finite = torch.isfinite(answers).flatten(1).all(dim=1)
    if not finite.all():
        position = int(batch.index[~finite][0])
        raise ModelError(
            f"the teacher's answer to training sample {position} is not finite",
            "mind its weights, and what it is given",
        )


def _save_shard(file: Path, answers: np.ndarray) -> None:
    """Write a shard, rename it, and write its hash last, so that a shard without a hash is known to be incomplete."""
    buffer = io.BytesIO()
    np.save(buffer, answers, allow_pickle=False)
    temporary = file.with_suffix(".part")
    with temporary.open("wb") as stream:
        stream.write(buffer.getbuffer())
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, file)
    file.with_suffix(".sha256").write_text(hashlib.sha256(buffer.getbuffer()).hexdigest(), encoding="utf-8")


def _states(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the state of each shard, "good", "damaged" or "missing", by name."""
    return {name: _state(folder / name) for name in names}


def _state(file: Path) -> str:
    expected = _expected_hash(file)
    if not file.is_file() or not expected:
        return "missing"
    return "good" if file_sha256(file) == expected else "damaged"


def _expected_hash(file: Path) -> str:
    hash_file = file.with_suffix(".sha256")
    return hash_file.read_text(encoding="utf-8") if hash_file.is_file() else ""


def _stored_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.npy"))


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.1f} MB"
