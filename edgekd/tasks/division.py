"""How samples are taken out of a set by chance, for a part of its own or to leave some out."""

import numpy as np


def plain(y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Take `count` samples, each as likely as any other, but never all: the positions (left, taken), in order."""
    if not 0 <= count < len(y):
        raise ValueError(f"{count} of {len(y)} samples can't be taken: one is left at least")
    return _positions(len(y), np.random.default_rng(seed).permutation(len(y))[:count])


def stratified(y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Take `count` samples, of each class by its share: the positions (left, taken), in order.

    At least one sample of every class is left, so at most len(y) - classes can be taken.

    Args:
        y: the samples' classes, (N,).
    """
    labels, members = np.unique(y, return_counts=True)
    if not 0 <= count <= len(y) - len(labels):
        raise ValueError(f"{count} of {len(y)} samples can't be taken and one of each of {len(labels)} classes be left")
    wanted = count * members / len(y)
    quotas = np.minimum(np.floor(wanted), members - 1).astype(int)
    while quotas.sum() < count:
        # Rounding left samples over: they come from the class that is furthest below its share.
        behind = np.where(quotas < members - 1, wanted - quotas, -np.inf)
        quotas[np.flatnonzero(behind == behind.max())[0]] += 1
    random = np.random.default_rng(seed)
    taken = [
        random.permutation(np.flatnonzero(y == label))[:quota] for label, quota in zip(labels, quotas, strict=True)
    ]
    return _positions(len(y), np.concatenate(taken))


def _positions(samples: int, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.zeros(samples, bool)
    chosen[taken] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
