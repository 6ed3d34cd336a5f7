"""Random augmentation of training images: shifts, horizontal flips, and patches of other images."""

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
        partner: positions in the split of the samples that the patches come from, (N,).
        side: height and width of the patch, as a share of the image's, (N,); 0 where there is no patch.
        down, right: position of the patch, as a share of the space beside it, (N,).
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
    """The random numbers of augmentation, one row for each sample of a split.

    Attributes:
        down, right: where the image is cropped out of its padded version, (N,), 0 ... 2 * shift.
        mirrored: whether the image is flipped, (N,), bool.
        patches: patches of other samples; None where the settings have none.
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
    """Draw view (or epoch) `number` for `count` samples; the draws depend on seed, number and position alone."""
    generator = np.random.default_rng((seed, number, 1))  # (seed, number) is the epoch's order
    down, right = generator.integers(0, 2 * augment.shift, (2, count), dtype=np.int16, endpoint=True)
    mirrored = generator.integers(0, 2, count, dtype=np.int8).astype(bool) & augment.flip
    return Draws(down, right, mirrored, _draw_patches(count, augment.patch, generator) if augment.patch else None)


def _draw_patches(count: int, share: float, generator: np.random.Generator) -> Patches:
    """Draw patches for `share` of the samples; their areas are uniform in [0, 1/2]."""
    uniform, area, down, right = generator.random((4, count))
    return Patches(generator.integers(0, count, count), np.sqrt(area / 2) * (uniform < share), down, right)


def shift_and_flip(x: Tensor, augment: Augment, draws: Draws) -> Tensor:
    """Shift and flip each image of x (N, C, H, W), on the CPU, as its row of `draws` says.

    It works on raw pixels, before normalisation, so a shift uncovers raw zeros: black, the background of digits and a
    value that a camera can give. (He et al., 2015, pad after subtracting the mean, which means with grey.)
    """
    count, _, height, width = x.shape
    if augment.shift:
        # Padded by `shift` on each side, an image is cropped at 0 ... 2 * shift; at `shift` it does not move.
        padded = F.pad(x, (augment.shift,) * 4).numpy()
        windows = sliding_window_view(padded, (height, width), axis=(2, 3))
        x = torch.from_numpy(windows[np.arange(count), :, draws.down, draws.right])
    if augment.flip:
        mirrored = torch.from_numpy(draws.mirrored).reshape(-1, 1, 1, 1)
        x = torch.where(mirrored, x.flip(3), x)
    return x


def apply_patches(x: Tensor, others: Tensor, patches: Patches) -> Tensor:
    """Replace a patch of each image of x (N, C, H, W) by the same patch of the image in `others`.

    This is CutMix (Yun et al., 2019) with patches of at most half of the image, so that its label stays true: that of
    the larger part. Labels are not mixed; the teacher's answer reflects how much of both images is visible.
    """
    height, width = x.shape[2:]
    rows = torch.from_numpy(_inside_patches(patches.down, patches.side, height))
    columns = torch.from_numpy(_inside_patches(patches.right, patches.side, width))
    return torch.where(rows[:, None, :, None] & columns[:, None, None, :], others, x)


def _inside_patches(start: np.ndarray, side: np.ndarray, length: int) -> np.ndarray:
    """Return which of `length` pixels lie in each patch, (N, length), bool."""
    size = np.rint(side * length)[:, None]
    first = np.floor(start[:, None] * (length - size + 1))
    pixels = np.arange(length)
    inside: np.ndarray = (pixels >= first) & (pixels < first + size)
    return inside
