"""Runs a firmware under QEMU with a time limit and counts its instructions, for the emulated device."""

import subprocess
from pathlib import Path

from edgekd.devices.cortex_m.counts import (
    Counts,
    build_plugin,
    counts_by_function,
    counts_of_ticks,
    plugin_options,
    read_plugin,
)
from edgekd.devices.cortex_m.exchange import (
    ENDED_WELL,
    Answers,
    Sample,
    exit_error,
    read_answers,
    timeout_error,
    write_inputs,
)
from edgekd.devices.cortex_m.firmware import Firmware
from edgekd.devices.cortex_m.tools import QEMU

CONSOLE = ("-display", "none", "-serial", "none", "-monitor", "none")
SEMIHOSTING = ("-semihosting-config", "enable=on,target=native")
ICOUNT = ("-icount", "shift=0")


def run(
    firmware: Firmware, samples: list[Sample], output_bytes: list[int], folder: Path, seconds: float
) -> tuple[Answers, Counts | None]:
    """Run the model on each sample in `folder`; return its answers and its instruction counts.

    The counts are None if QEMU's plugin cannot be built and an inference overflowed SysTick, which counts instead.

    Raises:
        OverBudgetError: the stack exceeds the RAM that variables and arena leave.
        ModelError: the model faults, refuses a sample or does not end within `seconds`.
    """
    write_inputs(samples, output_bytes, folder)
    plugin, out = build_plugin(folder), folder / "counts.txt"
    options = plugin_options(plugin, firmware, out) if plugin else ICOUNT
    command = [QEMU, "-M", firmware.core.machine, *CONSOLE, *SEMIHOSTING, "-kernel", str(firmware.path), *options]
    try:
        process = subprocess.run(
            command, cwd=folder, timeout=seconds, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise timeout_error(firmware, seconds) from error
    if process.returncode != ENDED_WELL:
        raise exit_error(process.returncode, process.stderr, firmware, folder)
    answers = read_answers(output_bytes, folder)
    if plugin:
        return answers, counts_by_function(read_plugin(out), firmware, "QEMU's TCG plugin, each address")
    return answers, None if answers.ticks is None else counts_of_ticks(answers.ticks, len(samples), firmware)
