"""Asks a teacher about every training sample in every view, once, and keeps what it says (answers.py).

A shard is whole or not there: it is written aside and renamed, and what it must hash to stands beside it until all are
done. A killed run goes on with the shards that are left; one whose bytes are not what was written is computed again.
Under torchrun the processes take turns with the shards. Beyond float16's range, +-65,504, answers are cut off.
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
LARGE_BYTES = 2**30  # from here on, a note says what they take


def size_bytes(samples: int, answer_shape: tuple[int, ...], views: int) -> int:
    """What the answers will take on the disk."""
    return 2 * samples * math.prod(answer_shape) * views


def check_space(folder: Path, samples: int, answer_shape: tuple[int, ...], views: int, kept: int = 0) -> str:
    """StoreError where the disk of `folder` can't hold the answers; a note where they are large, else "".

    Args:
        kept: bytes that an earlier try has left there already.
    """
    needed, free = size_bytes(samples, answer_shape, views), shutil.disk_usage(folder).free
    told = f"the teacher's answers to {views} view{'s' * (views != 1)} of {samples:,} samples take {_amount(needed)}"
    if needed - kept > free:
        raise StoreError(
            f"{told}; {folder} has {_amount(free)} left",
            "--set distill.views=0, which asks the teacher in the loop, fewer views, or a larger disk: --store DIR",
        )
    return told if needed >= LARGE_BYTES else ""


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
    """Ask the teacher about every training sample in every view, and leave the answers in `folder`; notes come back."""
    samples, shape = len(splits.train), splits.answer_shape
    rows = min(samples, max(1, shard_bytes // (2 * math.prod(shape))))
    wanted = [(view, start) for view in range(views.count) for start in range(0, samples, rows)]
    names = {pair: shard_name(pair[0], pair[1] // rows) for pair in wanted}
    note, states = distributed.from_main(
        lambda: (
            check_space(folder, samples, shape, views.count, _kept_bytes(folder)),
            _states(folder, names.values()),
        )
    )
    notes = [note] * bool(note)
    for name, state in states.items():
        if state == "damaged":
            notes.append(f"{name} was damaged: its answers were computed again")
            say(f"answers: {notes[-1]}")
    mine = [pair for pair in wanted if states[names[pair]] != "good"][distributed.rank() :: distributed.world()]
    with progress("answers: asking the teacher", sum(min(rows, samples - start) for _, start in mine)) as advance:
        for view, start in mine:
            positions = range(start, min(start + rows, samples))
            found = _asked(teacher, splits, view, positions, augment, views.seed, device, advance)
            _keep(folder / names[view, start], found)
    distributed.barrier()
    if distributed.is_main():
        hashes = {name: _written_hash(folder / name) for name in names.values()}
        save_index(folder, Index(views.count, views.seed, any_view, samples, shape, rows, hashes))
    distributed.barrier()
    return notes


def clear_away(folder: Path) -> None:
    """What only a killed run would have needed, once the answers are listed."""
    for beside in (*folder.glob("*.sha256"), *folder.glob("*.part")):
        beside.unlink()


def _asked(
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
    for some in _pieces(positions):
        batch = batch_at(some, splits.train, splits, augment=augment, draws=draws, view=view, device=device)
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
        broken = int(batch.index[~finite][0])
        raise ModelError(
            f"the teacher's answer to training sample {broken} is not finite", "mind its weights, and what it is given"
        )


def _keep(file: Path, answers: np.ndarray) -> None:
    """Onto the disk, then renamed; its hash last, so that a shard without one was not finished."""
    buffer = io.BytesIO()
    np.save(buffer, answers, allow_pickle=False)
    aside = file.with_suffix(".part")
    with aside.open("wb") as stream:
        stream.write(buffer.getbuffer())
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, file)
    file.with_suffix(".sha256").write_text(hashlib.sha256(buffer.getbuffer()).hexdigest(), encoding="utf-8")


def _states(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Of each shard: "good", "damaged" or "missing"."""
    return {name: _state(folder / name) for name in names}


def _state(file: Path) -> str:
    wanted = _written_hash(file)
    if not file.is_file() or not wanted:
        return "missing"
    return "good" if file_sha256(file) == wanted else "damaged"


def _written_hash(file: Path) -> str:
    beside = file.with_suffix(".sha256")
    return beside.read_text(encoding="utf-8") if beside.is_file() else ""


def _kept_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.npy"))


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.1f} MB"
