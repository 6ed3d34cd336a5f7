"""Which compilers and emulators for Cortex-M are here, and the marks that skip a test without them, with the reason."""

import pytest

from edgekd.devices.cortex_m import CORES, missing_tools
from edgekd.devices.cortex_m.tools import COMPILERS, EMULATORS

Tools = tuple[str | None, str | None]
"""(compiler, emulator); None: the first that is installed."""

ANY_TOOLS: Tools = (None, None)
EMULATORS_HERE = tuple(name for name, row in EMULATORS.items() if row.present())
SKIP_WITHOUT = pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {missing_tools()}")


def _lacks(compiler: str, emulator: str) -> pytest.MarkDecorator:
    here = COMPILERS[compiler].present() and EMULATORS[emulator].present()
    return pytest.mark.skipif(not here, reason=f"{compiler} and {emulator} for Cortex-M are not both installed")


TOOLS = (("gcc", "qemu"), ("zig", "unicorn"))
NEEDS_GCC_AND_QEMU = _lacks("gcc", "qemu")
BOTH_TOOLS = pytest.mark.parametrize(
    "tools", [pytest.param(pair, id="-".join(pair), marks=_lacks(*pair)) for pair in TOOLS]
)
"""Debian's tools, and those that pip installs."""


def _cores(unicorn: tuple[str, ...]) -> pytest.MarkDecorator:
    pairs = [*((core, TOOLS[0]) for core in CORES), *((core, TOOLS[1]) for core in unicorn)]
    return pytest.mark.parametrize(
        ("core", "tools"),
        [pytest.param(core, pair, id=f"{core}-{'-'.join(pair)}", marks=_lacks(*pair)) for core, pair in pairs],
    )


UNICORN_CORES = tuple(core for core, row in CORES.items() if EMULATORS["unicorn"].runs(row))
EVERY_CORE_AND_TOOL = _cores(UNICORN_CORES)
EVERY_CORE = _cores(("cortex-m0plus", "cortex-m4"))
"""Each core under Debian's tools, and two under those that pip installs."""
