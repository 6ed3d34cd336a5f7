"""Tests of augmentation: what is drawn for each sample, and how that changes the pixels."""

import numpy as np
import pytest
import torch

from edgekd.config import Augment
from edgekd.data.augmentation import Draws, Patches, apply_patches, draw, shift_and_flip
from edgekd.data.batches import applicable, batch_at, batches, normalise
from edgekd.data.splits import Split, Splits


def new_splits(n: int = 10, shape: tuple[int, ...] = (2, 6, 6)) -> Splits:
    x = np.random.default_rng(0).integers(1, 256, (n, *shape)).astype(np.uint8)
    split = Split(x, np.arange(n))
    channels = shape[0]
    return Splits(split, split, split, tuple(map(str, range(n))), (0.5,) * channels, (0.25,) * channels)


def test_a_shift_moves_the_image_and_uncovers_zeros():
    x = torch.arange(1, 17, dtype=torch.uint8).reshape(1, 1, 4, 4).repeat(200, 1, 1, 1)
    shifted = shift_and_flip(x, Augment(shift=1), draw(200, Augment(shift=1), 0, 0))
    padded = np.pad(x[0, 0].numpy(), 1)
    possible = {padded[down : down + 4, right : right + 4].tobytes() for down in range(3) for right in range(3)}
    assert {image[0].numpy().tobytes() for image in shifted} == possible


def test_a_flip_mirrors_about_half_of_the_images_left_to_right():
    x = torch.arange(12, dtype=torch.uint8).reshape(1, 2, 2, 3).repeat(400, 1, 1, 1)
    flipped = shift_and_flip(x, Augment(flip=True), draw(400, Augment(flip=True), 0, 0))
    mirrored = [torch.equal(image, x[0].flip(2)) for image in flipped]
    unchanged = [torch.equal(image, x[0]) for image in flipped]
    assert all(a != b for a, b in zip(mirrored, unchanged, strict=True))
    assert 150 < sum(mirrored) < 250


def test_a_sample_looks_the_same_whenever_it_is_asked_for_in_a_view():
    splits, changes = new_splits(64), Augment(shift=2, flip=True)
    all_samples = batch_at(slice(0, 64), splits.train, splits, augment=changes, draws=draw(64, changes, 3, 1))
    order = np.array([60, 2, 33])
    some = batch_at(order, splits.train, splits, augment=changes, draws=draw(64, changes, 3, 1), view=1)
    assert torch.equal(some.x, all_samples.x[order]) and some.view == 1 and all_samples.view is None


def test_draws_differ_between_seeds_views_and_samples():
    changes = Augment(shift=2, flip=True)
    tables = [draw(50, changes, *which) for which in ((5, 0), (5, 1), (6, 0))]
    for one in range(3):
        for other in range(one):
            assert not np.array_equal(tables[one].down, tables[other].down)
    assert len(set(tables[0].down)) == len(set(tables[0].right)) == 5 and len(set(tables[0].mirrored)) == 2


def test_what_is_not_asked_for_is_not_drawn():
    draws = draw(50, Augment(), 0, 0)
    assert not draws.down.any() and not draws.right.any() and not draws.mirrored.any()


def test_uncovered_pixels_are_raw_zeros_before_normalisation():
    splits = new_splits(64)
    changes = Augment(shift=2)
    batch = batch_at(np.arange(64), splits.train, splits, augment=changes, draws=draw(64, changes, 0, 0))
    assert batch.x.min() == pytest.approx((0 - 0.5) / 0.25)


def test_augmentation_is_for_images_alone():
    splits = new_splits(8, shape=(5,))
    assert applicable(Augment(shift=1), splits) == Augment()
    draws = draw(8, Augment(shift=1), 0, 0)
    batch = next(batches(splits.train, splits, 8, order=np.arange(8), augment=Augment(shift=1), draws=draws))
    torch.testing.assert_close(batch.x, normalise(splits.train.x, splits))


def test_a_patch_is_the_other_image_at_the_same_place():
    mine, others = torch.zeros(3, 2, 8, 8, dtype=torch.uint8), torch.arange(64, dtype=torch.uint8).reshape(8, 8)
    others = others.expand(3, 2, 8, 8) + 1
    patches = Patches(
        np.zeros(3, int), np.array([0.5, 0.25, 0.0]), np.array([0.0, 0.99, 0.5]), np.array([0.0, 0.5, 0.5])
    )
    patched = apply_patches(mine, others, patches)
    expected = mine.clone()
    expected[0, :, 0:4, 0:4] = others[0, :, 0:4, 0:4]
    expected[1, :, 6:8, 3:5] = others[1, :, 6:8, 3:5]
    assert torch.equal(patched, expected)


def test_patches_come_to_the_asked_for_share_and_cover_at_most_half():
    draws = draw(2000, Augment(patch=0.3), 0, 0)
    assert draws.patches is not None
    some = draws.patches.side > 0
    assert 0.25 < some.mean() < 0.35
    areas = draws.patches.side[some] ** 2
    assert areas.max() <= 0.5 and 0.2 < areas.mean() < 0.3
    assert len(set(draws.patches.partner)) > 1000


def test_patches_leave_the_other_draws_as_they_were():
    without, with_them = (draw(50, Augment(shift=2, flip=True, patch=share), 3, 1) for share in (0.0, 1.0))
    assert without.patches is None and isinstance(with_them, Draws)
    np.testing.assert_array_equal(without.down, with_them.down)
    np.testing.assert_array_equal(without.mirrored, with_them.mirrored)


def test_a_patch_comes_from_the_whole_split_and_not_from_the_batch():
    splits, changes = new_splits(64), Augment(patch=1.0)
    draws = draw(64, changes, 0, 0)
    singly = [batch_at(np.array([at]), splits.train, splits, augment=changes, draws=draws).x for at in range(64)]
    together = batch_at(np.arange(64), splits.train, splits, augment=changes, draws=draws).x
    assert torch.equal(torch.cat(singly), together)
    assert not torch.equal(together, batch_at(np.arange(64), splits.train, splits).x)
