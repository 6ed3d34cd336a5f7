"""How errors call the numbers of an array."""

import numpy as np

KINDS = {"O": "Python objects", "U": "text", "S": "text", "f": "fractions"}


def describe_dtype(dtype: np.dtype) -> str:
    """Fractions (float64), text (<U1), uint8."""
    return f"{KINDS[dtype.kind]} ({dtype})" if dtype.kind in KINDS else str(dtype)
