"""Compilers and emulators, a row each: whether one is here, in which version, and what to type where not."""

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
        command: what is typed to compile or link for a core.
        harness_flags: that keep loops from becoming calls of memset, and vectors out of code before the FPU is on.
        present: whether it is here.
        version: of it, in words.
    """

    command: Callable[[Core], tuple[str, ...]]
    harness_flags: tuple[str, ...]
    present: Callable[[], bool]
    version: Callable[[], str]


@dataclass(frozen=True)
class Emulator:
    """Something that executes a firmware.

    Attributes:
        runs: whether it has the core.
        describe: its version, and what stands in for the core.
    """

    runs: Callable[[Core], bool]
    present: Callable[[], bool]
    describe: Callable[[Core], str]


@functools.cache
def _said(*command: str) -> str:
    """The first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip()


def _zig() -> tuple[str, ...]:
    return sys.executable, "-m", "ziglang"


def _has_gcc() -> bool:
    """GCC answers with a whole path where it has newlib, and with the bare name where not."""
    return shutil.which(GCC) is not None and Path(_said(GCC, "-print-file-name=libc.a")).is_absolute()


COMPILERS = {
    "gcc": Compiler(
        command=lambda core: (GCC, "-mthumb", *core.gcc),
        harness_flags=("-fno-tree-vectorize", "-fno-tree-loop-distribute-patterns"),
        present=_has_gcc,
        version=lambda: _said(GCC, "--version"),
    ),
    "zig": Compiler(
        # Zig's own defaults for C are traps on undefined behaviour and debug information.
        command=lambda core: (*_zig(), "cc", *core.zig, "-fno-sanitize=undefined", "-g0", "-fno-unwind-tables"),
        harness_flags=("-fno-vectorize", "-fno-slp-vectorize", "-fno-builtin"),
        present=lambda: importlib.util.find_spec("ziglang") is not None,
        version=lambda: f"ziglang {distribution_version('ziglang')}, {_said(*_zig(), 'cc', '--version')}",
    ),
}
"""In the order of preference."""

EMULATORS = {
    "qemu": Emulator(
        runs=lambda core: True,
        present=lambda: shutil.which(QEMU) is not None,
        describe=lambda core: f"{_said(QEMU, '--version')}, {core.machine} ({core.stand_in})",
    ),
    "unicorn": Emulator(
        runs=lambda core: bool(core.unicorn),
        present=lambda: importlib.util.find_spec("unicorn") is not None,
        describe=lambda core: f"unicorn {distribution_version('unicorn')} ({core.unicorn.replace('_', '-').title()})",
    ),
}
"""In the order of preference."""


def missing_tools(core: Core | None = None) -> str:
    """What emulating a core lacks on this machine, in words; "" where it lacks nothing."""
    missing = []
    if not any(row.present() for row in COMPILERS.values()):
        missing.append("a compiler (arm-none-eabi-gcc with newlib, or ziglang)")
    if not any(row.present() and (core is None or row.runs(core)) for row in EMULATORS.values()):
        unicorn = " or unicorn" if core is None or EMULATORS["unicorn"].runs(core) else ""
        missing.append(f"an emulator (qemu-system-arm{unicorn})")
    return " and ".join(missing)


def choose_tools(core: Core, compiler: str | None = None, emulator: str | None = None) -> tuple[str, str]:
    """(compiler, emulator) by name: those asked for, or the first that are here; MissingExtraError without."""
    compilers = [name for name, row in COMPILERS.items() if compiler in (None, name) and row.present()]
    emulators = [
        name for name, row in EMULATORS.items() if emulator in (None, name) and row.present() and row.runs(core)
    ]
    if not compilers or not emulators:
        lacks = missing_tools(core) or " and ".join(name for name in (compiler, emulator) if name)
        raise MissingExtraError(f"emulating a {core.title} needs {lacks}", f"{APT}, or without root {PIP}")
    return compilers[0], emulators[0]


def host_compiler() -> str | None:
    """The C compiler of this machine, that builds QEMU's counting plugin."""
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)
