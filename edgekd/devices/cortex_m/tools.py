"""The cross compiler and the emulator: whether they are here, in which versions, and what to type where not."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

from edgekd.errors import EdgekdError, MissingExtraError

COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
INSTALL = "apt-get install -y --no-install-recommends qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi"


def missing_tools() -> str:
    """What emulating needs and this machine lacks, in words; "" where nothing is missing."""
    missing = [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]
    if COMPILER not in missing and not _has_newlib():
        missing.append("newlib for arm-none-eabi")
    return ", ".join(missing)


def require_tools() -> None:
    """MissingExtraError with the line to type where a tool is missing."""
    if missing := missing_tools():
        raise MissingExtraError(f"emulating a Cortex-M needs {missing}", INSTALL)


def host_compiler() -> str | None:
    """The C compiler of this machine, that builds the counting plugin."""
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@functools.cache
def version(tool: str) -> str:
    """The first line that a tool answers `--version` with: "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205"."""
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip()


def run_tool(*command: str | Path, cwd: Path | None = None) -> str:
    """What a tool of the compiler prints; EdgekdError with its last words where it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise EdgekdError(f"{command[0]} failed: {said[-1] if said else f'status {done.returncode}'}")
    return done.stdout


def _has_newlib() -> bool:
    """GCC answers with a whole path where it has the library, and with the bare name where not."""
    return Path(run_tool(COMPILER, "-print-file-name=libc.a").strip()).is_absolute()
