"""Batches of normalised inputs: in order for evaluation; permuted, augmented and divided by process for training."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgekd.config import Augment
from edgekd.data.augmentation import Draws, apply_patches, shift_and_flip
from edgekd.data.splits import Split, Splits
from edgekd.errors import ConfigError


@dataclass(frozen=True)
class Batch:
    """Attributes:
    x: normalised inputs, (N, ...), float32; or tokens, (N, length), int32.
    y: targets, (N, ...), as `Split` has them.
    index: the samples' positions in their split, (N,), int64.
    view: number of the view in `Views`; None where the inputs are not augmented, or augmented afresh in each epoch.
    """

    x: Tensor
    y: Tensor
    index: Tensor
    view: int | None = None


@dataclass(frozen=True)
class Views:
    """Augmentation that repeats: epoch e trains on view e % count of each sample.

    Attributes:
        seed: seed of the views.
        count: number of views.
    """

    seed: int
    count: int


def normalise(x: np.ndarray | Tensor, splits: Splits) -> Tensor:
    """Return (x * scale - mean) / std per channel, in float32, on the device of `x`; tokens stay unchanged."""
    raw = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
    if splits.vocabulary:
        return raw
    shape = (1, -1) + (1,) * (raw.ndim - 2)
    mean = torch.tensor(splits.mean, dtype=torch.float32, device=raw.device).reshape(shape)
    std = torch.tensor(splits.std, dtype=torch.float32, device=raw.device).reshape(shape)
    return (raw.to(torch.float32) * splits.scale).sub_(mean).div_(std)


def renormalise(x: Tensor, source: Splits, target: Splits) -> Tensor:
    """Convert inputs from the normalisation of `source` to that of `target`, two `Splits` of the same data."""
    if (source.mean, source.std) == (target.mean, target.std):
        return x
    before, mean, after = (np.asarray(values, np.float64) for values in (source.std, target.mean, target.std))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    factor = torch.tensor(before / after, dtype=x.dtype, device=x.device).reshape(shape)
    shift = torch.tensor((np.asarray(source.mean) - mean) / after, dtype=x.dtype, device=x.device).reshape(shape)
    return x * factor + shift


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return a permutation of n samples that depends on (seed, epoch) alone, as a training that resumes needs it."""
    return np.random.default_rng((seed, epoch)).permutation(n)


def count_steps(n: int, size: int) -> int:
    """Return the training steps of an epoch over n samples: whole batches only, and one of all samples if n < size."""
    return n // min(size, n)


def applicable(augment: Augment | None, splits: Splits) -> Augment:
    """Return `augment` where inputs are images (N, C, H, W), and no augmentation for other shapes."""
    return augment if augment is not None and len(splits.input_shape) == 3 else Augment()


def batches(
    split: Split,
    splits: Splits,
    size: int,
    *,
    order: np.ndarray | None = None,
    augment: Augment | None = None,
    draws: Draws | None = None,
    view: int | None = None,
    rank: int = 0,
    processes: int = 1,
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Cut a split into batches.

    Args:
        size: samples of a batch, over all processes together.
        order: the positions to visit in training: the last incomplete batch is dropped, and each process takes its
            slice of each batch, so that all make as many steps over as many samples. None visits all in order.
        augment, draws: the augmentation, and its random numbers for each sample of the split.
        view: number of the view, as the batches state it.
    """
    for positions in _positions(len(split), size, order, rank, processes):
        yield batch_at(positions, split, splits, augment=augment, draws=draws, view=view, device=device)


def batch_at(
    positions: slice | np.ndarray,
    split: Split,
    splits: Splits,
    *,
    augment: Augment | None = None,
    draws: Draws | None = None,
    view: int | None = None,
    device: torch.device | str = "cpu",
) -> Batch:
    """Return the samples at some positions as a batch; the other arguments are those of `batches`."""
    changes = applicable(augment, splits)
    raw = torch.from_numpy(_copy(split.x, positions))
    if changes != Augment() and draws is not None:
        rows = draws.at(positions)
        raw = shift_and_flip(raw, changes, rows)
        if rows.patches is not None:
            raw = apply_patches(raw, torch.from_numpy(_copy(split.x, rows.patches.partner)), rows.patches)
    index = torch.from_numpy(np.arange(len(split))[positions] if isinstance(positions, slice) else positions)
    y = torch.from_numpy(_copy(split.y, positions))
    return Batch(normalise(raw.to(device), splits), y.to(device), index.to(device), view)


def _copy(array: np.ndarray, positions: slice | np.ndarray) -> np.ndarray:
    """Copy rows of an array: indexing by positions copies already; torch must not write to a memory-mapped slice."""
    return np.array(array[positions]) if isinstance(positions, slice) else np.asarray(array[positions])


def _positions(n: int, size: int, order: np.ndarray | None, rank: int, processes: int) -> Iterator[slice | np.ndarray]:
    if order is None:
        yield from (slice(start, min(start + size, n)) for start in range(0, n, size))
        return
    if not len(order):
        return
    size = min(size, len(order))
    if size % processes:
        raise ConfigError(
            f"batches of {size} samples can't be shared evenly by {processes} processes",
            f"a batch_size that is a multiple of {processes}, and no larger than the {len(order)} training samples",
        )
    share = size // processes
    for step in range(count_steps(len(order), size)):
        first = step * size + rank * share
        yield np.asarray(order[first : first + share], dtype=np.int64)
