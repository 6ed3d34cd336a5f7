"""The version of edgekd's own source, as a hash: results depend on it besides settings and libraries."""

import hashlib
from functools import cache
from pathlib import Path


@cache
def source_hash() -> str:
    """Of edgekd's own source: 16 hexadecimal digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
