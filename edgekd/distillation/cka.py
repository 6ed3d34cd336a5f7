"""Centred kernel alignment (CKA): how similarly two layers represent the same samples."""

import numpy as np

Array = np.ndarray

FEWEST = 4  # samples that the debiased estimate of HSIC needs


def gram(features: Array) -> Array:
    """Return the inner products of samples, (N, N), of features (N, ...).

    The mean is subtracted first: HSIC stays the same, and float32 is precise enough.
    """
    flat = features.reshape(len(features), -1)
    flat = flat - flat.mean(axis=0)
    products: Array = (flat @ flat.T).astype(np.float64)
    return products


class LinearCKA:
    """Linear centred kernel alignment: sum HSIC(K, L) / sqrt(sum HSIC(K, K) * sum HSIC(L, L)), summed over batches

    Kornblith et al. (2019): 1 for layers that differ by a rotation and a scale. Debiased, HSIC is the unbiased estimate
    of Song et al. (2012), whose sum over minibatches comes close to the whole set's value (Nguyen et al., 2021);
    unrelated layers then get 0 on average. Biased, one batch of everything gives the first paper's value, which wide
    layers push towards 1 where samples are few.
    """

    def __init__(self, *, debiased: bool = True) -> None:
        self.debiased, self.sums = debiased, np.zeros(3)

    def add(self, one: Array, other: Array) -> None:
        """Add a batch, given by the `gram` of each of the two layers."""
        hsic = _unbiased_hsic if self.debiased else _biased_hsic
        if len(one) >= FEWEST:
            self.sums += (hsic(one, other), hsic(one, one), hsic(other, other))

    @property
    def value(self) -> float | None:
        """The CKA; None where a layer gives the same features for every sample, or where there were too few samples."""
        both, one, other = self.sums
        return float(both / np.sqrt(one * other)) if one > 0 and other > 0 else None


def _biased_hsic(one: Array, other: Array) -> float:
    centred = one - one.mean(axis=0) - one.mean(axis=1, keepdims=True) + one.mean()
    return float((centred * other).sum() / (len(one) - 1) ** 2)


def _unbiased_hsic(one: Array, other: Array) -> float:
    n = len(one)
    ours, theirs = (products - np.diag(np.diag(products)) for products in (one, other))
    sums = ours.sum() * theirs.sum() / ((n - 1) * (n - 2))
    rows = ours.sum(axis=0) @ theirs.sum(axis=0)
    return float(((ours * theirs).sum() + sums - 2 / (n - 2) * rows) / (n * (n - 3)))
