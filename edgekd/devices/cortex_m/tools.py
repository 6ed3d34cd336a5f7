"""The tables of compilers and emulators for Cortex-M, with versions and the commands that install them."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as distribution_version
from pathlib import Path

from edgekd.devices.cortex_m.cores import Core
from edgekd.errors import MissingExtraError

APT = "apt-get install -y --no-install-recommends qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi"
PIP = "pip install 'edgekd[mcu]'"
GCC, QEMU = "arm-none-eabi-gcc", "qemu-system-arm"


@dataclass(frozen=True)
class Compiler:
    """A C compiler for Cortex-M.

    Attributes:
        command: a function that returns the command to compile or link for a core.
        harness_flags: the flags that keep the compiler from replacing loops by calls of memset, and from using vector
            instructions before the FPU is enabled.
        present: a function that returns whether it is installed.
        version: a function that returns its version in words.
    """

    command: Callable[[Core], tuple[str, ...]]
    harness_flags: tuple[str, ...]
    present: Callable[[], bool]
    version: Callable[[], str]


@dataclass(frozen=True)
class Emulator:
    """An emulator that executes a firmware.

    Attributes:
        runs: a function that returns whether it emulates a core.
        present: a function that returns whether it is installed.
        describe: a function that returns its version, and the board or core that it emulates.
    """

    runs: Callable[[Core], bool]
    present: Callable[[], bool]
    describe: Callable[[Core], str]


@functools.cache
def _first_line(*command: str) -> str:
    """Return the first line that a command prints."""
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.partition("\n")[0].strip()


def _zig() -> tuple[str, ...]:
    return sys.executable, "-m", "ziglang"


def _has_gcc() -> bool:
    """Return whether GCC is installed with newlib: then it prints an absolute path for libc.a."""
    return shutil.which(GCC) is not None and Path(_first_line(GCC, "-print-file-name=libc.a")).is_absolute()


COMPILERS = {
    "gcc": Compiler(
        command=lambda core: (GCC, "-mthumb", *core.gcc),
        harness_flags=("-fno-tree-vectorize", "-fno-tree-loop-distribute-patterns"),
        present=_has_gcc,
        version=lambda: _first_line(GCC, "--version"),
    ),
    "zig": Compiler(
        # By default Zig compiles C with traps on undefined behaviour and with debug information.
        command=lambda core: (*_zig(), "cc", *core.zig, "-fno-sanitize=undefined", "-g0", "-fno-unwind-tables"),
        harness_flags=("-fno-vectorize", "-fno-slp-vectorize", "-fno-builtin"),
        present=lambda: importlib.util.find_spec("ziglang") is not None,
        version=lambda: f"ziglang {distribution_version('ziglang')}, {_first_line(*_zig(), 'cc', '--version')}",
    ),
}
"""In the order of preference."""

EMULATORS = {
    "qemu": Emulator(
        runs=lambda core: True,
        present=lambda: shutil.which(QEMU) is not None,
        describe=lambda core: f"{_first_line(QEMU, '--version')}, {core.machine} ({core.stand_in})",
    ),
    "unicorn": Emulator(
        runs=lambda core: bool(core.unicorn),
        present=lambda: importlib.util.find_spec("unicorn") is not None,
        describe=lambda core: f"unicorn {distribution_version('unicorn')} ({core.unicorn.replace('_', '-').title()})",
    ),
}
"""In the order of preference."""


def missing_tools(core: Core | None = None) -> str:
    """Name the tools that this machine lacks for emulating a core; "" if it lacks none."""
    missing = []
    if not any(row.present() for row in COMPILERS.values()):
        missing.append("a compiler (arm-none-eabi-gcc with newlib, or ziglang)")
    if not any(row.present() and (core is None or row.runs(core)) for row in EMULATORS.values()):
        unicorn = " or unicorn" if core is None or EMULATORS["unicorn"].runs(core) else ""
        missing.append(f"an emulator (qemu-system-arm{unicorn})")
    return " and ".join(missing)


def choose_tools(core: Core, compiler: str | None = None, emulator: str | None = None) -> tuple[str, str]:
    """Return the names (compiler, emulator): the requested ones, or the first installed ones.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    compilers = [name for name, row in COMPILERS.items() if compiler in (None, name) and row.present()]
    emulators = [
        name for name, row in EMULATORS.items() if emulator in (None, name) and row.present() and row.runs(core)
    ]
    if not compilers or not emulators:
        lacks = missing_tools(core) or " and ".join(name for name in (compiler, emulator) if name)
        raise MissingExtraError(f"emulating a {core.title} needs {lacks}", f"{APT}, or without root {PIP}")
    return compilers[0], emulators[0]


def host_compiler() -> str | None:
    """Return the path of this machine's C compiler, which builds QEMU's counting plugin; None without one."""
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)
