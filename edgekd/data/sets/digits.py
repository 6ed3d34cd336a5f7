"""1,797 handwritten digits of 8x8 pixels, built into scikit-learn: real data without a download."""

from typing import Any

import numpy as np

from edgekd.tasks.division import stratified

TEST_SAMPLES = 360
SPLIT_SEED = 0


def digits() -> dict[str, Any]:
    """Images (N, 1, 8, 8), their 17 grey levels spread over 0 ... 255. The test part is the same for every seed."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    x = np.rint(raw.images * (255 / 16)).astype(np.uint8)[:, None]
    y = raw.target.astype(np.int64)
    train, test = stratified(y, TEST_SAMPLES, SPLIT_SEED)
    return {"train": (x[train], y[train]), "test": (x[test], y[test]), "classes": [str(digit) for digit in range(10)]}
