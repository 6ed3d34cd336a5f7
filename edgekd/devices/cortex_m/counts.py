"""Builds QEMU's counting plugin and sums the executed instructions by function for the emulated run."""

import bisect
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekd.devices.cortex_m.firmware import HARNESS, Firmware
from edgekd.devices.cortex_m.tools import host_compiler

START, STOP = "harness_start", "harness_stop"


@dataclass(frozen=True)
class Counts:
    """The numbers of instructions executed between the harness's two markers, over all inferences.

    An instruction that is skipped by its condition is counted too, since it occupies the pipeline.

    Attributes:
        total: the number of instructions outside the harness.
        by_function: the number for each function, without the functions that it calls, in descending order; empty if
            only the total is known.
        method: the name of the counter.
        error: the largest possible error of `total`, in instructions.
    """

    total: int
    by_function: Mapping[str, int]
    method: str
    error: int = 0


def counts_by_function(by_address: Mapping[int, int], firmware: Firmware, method: str) -> Counts:
    """Sum the counts of addresses by function, without the addresses of the harness."""
    starts = [symbol.address for symbol in firmware.image.functions]
    _, flash_origin, _ = firmware.core.origins
    sums: Counter[str] = Counter()
    for address, count in by_address.items():
        if address >= flash_origin:
            sums[firmware.image.functions[bisect.bisect_right(starts, address) - 1].name] += count
    return Counts(sum(sums.values()), dict(sums.most_common()), method)


def counts_of_ticks(ticks: int, inferences: int, firmware: Firmware) -> Counts:
    """Convert ticks of SysTick under `-icount shift=0` to instructions; each inference may miss two ticks."""
    tick = firmware.core.tick_instructions
    method = f"SysTick under -icount, in steps of {tick:g} instructions"
    return Counts(round(ticks * tick), {}, method, round(2 * tick * inferences))


def build_plugin(folder: Path) -> Path | None:
    """Build the plugin as a shared library in `folder`; return None if this machine has no compiler for it."""
    compiler = host_compiler()
    if compiler is None:
        return None
    library = folder / "count.so"
    command = [compiler, "-shared", "-fPIC", "-O2", str(HARNESS / "count.c"), "-o", str(library)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return library if process.returncode == 0 else None


def plugin_options(library: Path, firmware: Firmware, out: Path) -> tuple[str, ...]:
    """Return the options with which QEMU loads the plugin."""
    start, stop = (firmware.image.labels[marker] & ~1 for marker in (START, STOP))
    return ("-plugin", f"{library},start={start:#x},stop={stop:#x},out={out}")


def read_plugin(file: Path) -> dict[int, int]:
    """Read the counts, keyed by address, from the plugin's file."""
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {int(address, 16): int(count) for address, count in lines}
