"""The graph's int8 codes, in torch's order, as a file takes them and gives them back."""

import numpy as np

SHIFT = 128
"""uint8 code = int8 code + SHIFT."""


def taken(codes: np.ndarray, dtype: np.dtype, channels_last: bool) -> np.ndarray:
    """(N, C, H, W), or any other shape, in the dtype and order of a file; indices as they are."""
    if codes.ndim == 4 and channels_last:
        codes = np.moveaxis(codes, 1, -1)
    if dtype == np.uint8:
        return (codes.astype(np.int16) + SHIFT).astype(np.uint8)
    return np.ascontiguousarray(codes)


def given(values: np.ndarray, channels_last: bool) -> np.ndarray:
    """What a file gave, as int8 codes (N, C, H, W) or of any other shape."""
    if values.ndim == 4 and channels_last:
        values = np.moveaxis(values, -1, 1)
    return (values.astype(np.int16) - SHIFT).astype(np.int8) if values.dtype == np.uint8 else values
