"""Names the types of arrays in errors."""

import numpy as np

KINDS = {"O": "Python objects", "U": "text", "S": "text", "f": "fractions"}


def describe_dtype(dtype: np.dtype) -> str:
    """Describe a dtype for an error: "fractions (float64)", "text (<U1)" or "uint8"."""
    return f"{KINDS[dtype.kind]} ({dtype})" if dtype.kind in KINDS else str(dtype)
