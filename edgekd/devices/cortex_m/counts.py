"""Executed instructions by function, from counts by address; and a plugin for QEMU, built on the spot, that counts."""

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
    """Instructions that were executed between the harness's two markers, over all inferences.

    An instruction that is skipped by its condition counts too: it takes its place in the pipeline.

    Attributes:
        total: without the harness's own.
        by_function: the same in descending order; a function's own, without those that it calls. Empty where only the
            total is known.
        method: how they were counted.
        error: how far off `total` may be.
    """

    total: int
    by_function: Mapping[str, int]
    method: str
    error: int = 0


def counts_by_function(by_address: Mapping[int, int], firmware: Firmware, method: str) -> Counts:
    """Counts of each address, summed up by function, without those of the harness."""
    starts = [symbol.address for symbol in firmware.image.functions]
    _, flash_origin, _ = firmware.core.origins
    sums: Counter[str] = Counter()
    for address, count in by_address.items():
        if address >= flash_origin:
            sums[firmware.image.functions[bisect.bisect_right(starts, address) - 1].name] += count
    return Counts(sum(sums.values()), dict(sums.most_common()), method)


def counts_of_ticks(ticks: int, inferences: int, firmware: Firmware) -> Counts:
    """The instructions of so many ticks of SysTick under `-icount shift=0`; each inference may miss two ticks."""
    tick = firmware.core.tick_instructions
    method = f"SysTick under -icount, in steps of {tick:g} instructions"
    return Counts(round(ticks * tick), {}, method, round(2 * tick * inferences))


def build_plugin(folder: Path) -> Path | None:
    """The plugin as a shared library in `folder`; None where this machine has no compiler that can build it."""
    compiler = host_compiler()
    if compiler is None:
        return None
    library = folder / "count.so"
    command = [compiler, "-shared", "-fPIC", "-O2", str(HARNESS / "count.c"), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return library if done.returncode == 0 else None


def plugin_options(library: Path, firmware: Firmware, out: Path) -> tuple[str, ...]:
    """What QEMU is started with."""
    start, stop = (firmware.image.labels[marker] & ~1 for marker in (START, STOP))
    return ("-plugin", f"{library},start={start:#x},stop={stop:#x},out={out}")


def read_plugin(file: Path) -> dict[int, int]:
    """What the plugin wrote: counts by address."""
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {int(address, 16): int(count) for address, count in lines}
