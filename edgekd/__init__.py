"""edgekd turns a trained network into one that fits a small device, and proves that it still works there.

    report = edgekd.build("rpi4", settings={"data.root": "mnist"})

The functions mirror the command line; what goes wrong is raised as an `edgekd.errors.EdgekdError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.forecast import check as check
    from edgekd.pipeline import build as build
    from edgekd.proof import verify as verify
    from edgekd.target import names as targets

__version__ = "0.1.0"
__all__ = ["build", "check", "targets", "verify"]

_HOMES = {
    "build": ("edgekd.pipeline", "build"),
    "check": ("edgekd.forecast", "check"),
    "verify": ("edgekd.proof", "verify"),
    "targets": ("edgekd.target", "names"),
}


def __getattr__(name: str) -> Any:
    """Import a public function when it is first asked for, so that `import edgekd` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekd' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
