"""Divides samples at random into two parts, as for a validation split or to leave some out."""

import numpy as np


def plain(y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` samples uniformly, but never all; return the positions (not drawn, drawn), each in order."""
    if not 0 <= count < len(y):
        raise ValueError(f"{count} of {len(y)} samples can't be taken: one is left at least")
    return _positions(len(y), np.random.default_rng(seed).permutation(len(y))[:count])


def stratified(y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` samples, of each class by its share; return the positions (not drawn, drawn), each in order.

    At least one sample of every class is not drawn, so that at most len(y) - classes can be.

    Args:
        y: the samples' classes, (N,).
    """
    labels, members = np.unique(y, return_counts=True)
    if not 0 <= count <= len(y) - len(labels):
        raise ValueError(f"{count} of {len(y)} samples can't be taken and one of each of {len(labels)} classes be left")
    shares = count * members / len(y)
    quotas = np.minimum(np.floor(shares), members - 1).astype(int)
    while quotas.sum() < count:
        # Rounding down leaves some quota over: it goes to the class that is furthest below its share.
        behind = np.where(quotas < members - 1, shares - quotas, -np.inf)
        quotas[np.flatnonzero(behind == behind.max())[0]] += 1
    random = np.random.default_rng(seed)
    positions = [
        random.permutation(np.flatnonzero(y == label))[:quota] for label, quota in zip(labels, quotas, strict=True)
    ]
    return _positions(len(y), np.concatenate(positions))


def _positions(samples: int, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros(samples, bool)
    mask[positions] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)
