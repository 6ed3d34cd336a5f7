"""Executed instructions, exactly: a plugin of QEMU is built on the spot and counts them at each address."""

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


def build_plugin(folder: Path) -> Path | None:
    """The plugin as a shared library in `folder`; None where this machine's compiler can't build it."""
    compiler = host_compiler()
    if compiler is None:
        return None
    library = folder / "count.so"
    command = [compiler, "-shared", "-fPIC", "-O2", str(HARNESS / "count.c"), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return library if done.returncode == 0 else None


def plugin_options(library: Path, firmware: Firmware, out: Path) -> tuple[str, ...]:
    """What QEMU is started with."""
    start, stop = (firmware.function(marker).address for marker in (START, STOP))
    return ("-plugin", f"{library},start={start:#x},stop={stop:#x},out={out}")


def read_counts(file: Path, firmware: Firmware) -> Counts:
    """What the plugin wrote."""
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    by_function = functions_of({int(address, 16): int(count) for address, count in lines}, firmware)
    return Counts(sum(by_function.values()), by_function, "TCG plugin, each address")


def functions_of(counts: Mapping[int, int], firmware: Firmware) -> dict[str, int]:
    """Counts by address as counts by function, the largest first, without the harness and its call of the model."""
    starts = [symbol.address for symbol in firmware.functions]
    _, flash_origin, _ = firmware.core.origins
    sums: Counter[str] = Counter()
    for address, count in counts.items():
        if address >= flash_origin:
            sums[firmware.functions[bisect.bisect_right(starts, address) - 1].name] += count
    return dict(sums.most_common())


def counts_of_ticks(ticks: int, inferences: int, firmware: Firmware) -> Counts:
    """The instructions of so many ticks of SysTick under `-icount shift=0`; each inference may miss two ticks."""
    tick = firmware.core.tick_instructions
    method = f"SysTick under -icount, in steps of {tick:g} instructions"
    return Counts(round(ticks * tick), {}, method, round(2 * tick * inferences))
