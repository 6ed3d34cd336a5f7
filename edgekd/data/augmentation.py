"""What chance does to training images: shifted, mirrored, and patched with parts of others."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor
from torch.nn import functional as F

from edgekd.config import Augment


@dataclass(frozen=True)
class Patches:
    """A rectangle for each image, in the image's own proportions.

    Attributes:
        partner: positions in the split of the samples that it is taken from, (N,).
        side: its height and width, as a share of the image's, (N,); 0 where there is none.
        down, right: where it is, as a share of the room that it leaves, (N,).
    """

    partner: np.ndarray
    side: np.ndarray
    down: np.ndarray
    right: np.ndarray

    def at(self, positions: slice | np.ndarray) -> "Patches":
        """The rows of some samples."""
        return Patches(self.partner[positions], self.side[positions], self.down[positions], self.right[positions])


@dataclass(frozen=True)
class Draws:
    """What chance does to each sample of a split: a table with a row a sample.

    Attributes:
        down, right: where the image is cut out of its padded self, (N,), 0 ... 2 * shift.
        mirrored: (N,), bool.
        patches: of other samples, where they were asked for.
    """

    down: np.ndarray
    right: np.ndarray
    mirrored: np.ndarray
    patches: Patches | None = None

    def at(self, positions: slice | np.ndarray) -> "Draws":
        """The rows of some samples."""
        patches = None if self.patches is None else self.patches.at(positions)
        return Draws(self.down[positions], self.right[positions], self.mirrored[positions], patches)


def draw(count: int, augment: Augment, seed: int, number: int) -> Draws:
    """The draws of view (or epoch) `number` for `count` samples: they depend on seed, number and position alone."""
    chance = np.random.default_rng((seed, number, 1))  # (seed, number) is the epoch's order
    down, right = chance.integers(0, 2 * augment.shift, (2, count), dtype=np.int16, endpoint=True)
    mirrored = chance.integers(0, 2, count, dtype=np.int8).astype(bool) & augment.flip
    return Draws(down, right, mirrored, _draw_patches(count, augment.patch, chance) if augment.patch else None)


def _draw_patches(count: int, share: float, chance: np.random.Generator) -> Patches:
    """For `share` of the samples; the areas are uniform in [0, 1/2]."""
    chosen, area, down, right = chance.random((4, count))
    return Patches(chance.integers(0, count, count), np.sqrt(area / 2) * (chosen < share), down, right)


def augmented(x: Tensor, augment: Augment, draws: Draws) -> Tensor:
    """Shift and flip each image of x (N, C, H, W), on the CPU, as its row of `draws` says.

    It works on raw pixels, before normalisation, so a shift uncovers raw zeros: black, the ground on which digits
    stand, and a value that a camera can give. (He et al., 2015, pad after subtracting the mean, so with grey.)
    """
    count, _, height, width = x.shape
    if augment.shift:
        # Padded by `shift` on each side, an image is cut out at 0 ... 2 * shift: by `shift` is where it was.
        padded = F.pad(x, (augment.shift,) * 4).numpy()
        windows = sliding_window_view(padded, (height, width), axis=(2, 3))
        x = torch.from_numpy(windows[np.arange(count), :, draws.down, draws.right])
    if augment.flip:
        mirrored = torch.from_numpy(draws.mirrored).reshape(-1, 1, 1, 1)
        x = torch.where(mirrored, x.flip(3), x)
    return x


def patched(x: Tensor, others: Tensor, patches: Patches) -> Tensor:
    """Put into each image of x (N, C, H, W) the patch of the other one that stands at the same place.

    CutMix (Yun et al., 2019) with patches of at most half of the image, so that its label stays true: that of the
    larger part. How much of both is to be seen the teacher says.
    """
    height, width = x.shape[2:]
    rows = torch.from_numpy(_within(patches.down, patches.side, height))
    columns = torch.from_numpy(_within(patches.right, patches.side, width))
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], others, x)


def _within(start: np.ndarray, side: np.ndarray, length: int) -> np.ndarray:
    """Which of `length` pixels lie in each patch, (N, length), bool."""
    size = np.rint(side * length)[:, None]
    first = np.floor(start[:, None] * (length - size + 1))
    pixels = np.arange(length)
    found: np.ndarray = (pixels >= first) & (pixels < first + size)
    return found
