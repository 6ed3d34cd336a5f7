"""Gives the tests the marks that skip a test if a compiler or emulator for Cortex-M is not installed."""

import pytest

from edgekd.devices.cortex_m import CORES, missing_tools
from edgekd.devices.cortex_m.tools import COMPILERS, EMULATORS

Tools = tuple[str | None, str | None]
"""The names (compiler, emulator); None stands for the first that is installed."""

ANY_TOOLS: Tools = (None, None)
EMULATORS_HERE = tuple(name for name, row in EMULATORS.items() if row.present())
SKIP_WITHOUT = pytest.mark.skipif(bool(missing_tools()), reason=f"not installed: {missing_tools()}")


def _skip_without(compiler: str, emulator: str) -> pytest.MarkDecorator:
    usable = COMPILERS[compiler].present() and EMULATORS[emulator].present()
    return pytest.mark.skipif(not usable, reason=f"{compiler} and {emulator} for Cortex-M are not both installed")


TOOLS = (("gcc", "qemu"), ("zig", "unicorn"))
NEEDS_GCC_AND_QEMU = _skip_without("gcc", "qemu")
BOTH_TOOLS = pytest.mark.parametrize(
    "tools", [pytest.param(pair, id="-".join(pair), marks=_skip_without(*pair)) for pair in TOOLS]
)
"""Runs a test with the tools that Debian packages, and with those that pip installs."""


def _cores(unicorn: tuple[str, ...]) -> pytest.MarkDecorator:
    pairs = [*((core, TOOLS[0]) for core in CORES), *((core, TOOLS[1]) for core in unicorn)]
    return pytest.mark.parametrize(
        ("core", "tools"),
        [pytest.param(core, pair, id=f"{core}-{'-'.join(pair)}", marks=_skip_without(*pair)) for core, pair in pairs],
    )


UNICORN_CORES = tuple(core for core, row in CORES.items() if EMULATORS["unicorn"].runs(row))
EVERY_CORE_AND_TOOL = _cores(UNICORN_CORES)
EVERY_CORE = _cores(("cortex-m0plus", "cortex-m4"))
"""Runs a test for each core with Debian's tools, and for two cores with those that pip installs."""
