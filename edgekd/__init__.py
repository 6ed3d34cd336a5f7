"""edgekd turns a trained network into one that fits a small device, and proves that it still works there.

    report = edgekd.build("rpi4", settings={"data.root": "mnist"})

The functions mirror the command line; what goes wrong is raised as an `edgekd.errors.EdgekdError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.config.targets import names as targets
    from edgekd.pipeline.build import build as build
    from edgekd.pipeline.check import check as check
    from edgekd.pipeline.convert import convert as convert
    from edgekd.pipeline.diff import diff as diff
    from edgekd.pipeline.reverify import verify as verify

__version__ = "0.1.0"
__all__ = ["build", "check", "convert", "diff", "targets", "verify"]

_HOMES = {
    "build": ("edgekd.pipeline.build", "build"),
    "check": ("edgekd.pipeline.check", "check"),
    "convert": ("edgekd.pipeline.convert", "convert"),
    "diff": ("edgekd.pipeline.diff", "diff"),
    "verify": ("edgekd.pipeline.reverify", "verify"),
    "targets": ("edgekd.config.targets", "names"),
}


def __getattr__(name: str) -> Any:
    """Import a public function when it is first asked for, so that `import edgekd` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekd' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
