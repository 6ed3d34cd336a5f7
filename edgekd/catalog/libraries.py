"""The libraries that results depend on, with their versions, for the store's records and for reports."""

import importlib.metadata
from functools import cache

from edgekd.catalog.formats import FORMATS
from edgekd.catalog.runtimes import RUNTIMES

_DISTRIBUTIONS = {
    *(row.distribution for row in FORMATS.values() if row.distribution),
    *(row.distribution for row in RUNTIMES.values() if row.distribution and not row.extra),
}

LIBRARIES = (
    "edgekd", "torch", "numpy", *sorted(_DISTRIBUTIONS), "torch-pruning",
    "lightning-fabric", "scikit-learn",
)  # fmt: skip


@cache
def library_versions() -> dict[str, str]:
    """Return the version of each library that is installed."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
