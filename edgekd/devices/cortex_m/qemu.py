"""Runs a firmware under QEMU, always with a time limit, and reads back what it wrote."""

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.devices.cortex_m.firmware import Firmware
from edgekd.devices.cortex_m.tools import EMULATOR
from edgekd.errors import EdgekdError, ModelError, OverBudgetError

# What a firmware ends with, as harness/host.h names it.
ENDED_WELL, ENDED_BY_FAULT, ENDED_BY_STACK, ENDED_BY_MODEL = 0, 101, 102, 103
WRAPPED = 2**32 - 1
Sample = tuple[bytes, ...]


@dataclass(frozen=True)
class Answers:
    """What a firmware wrote.

    Attributes:
        outputs: of each sample, the bytes of each output tensor.
        stack_bytes: the largest that an inference used.
        ticks: of SysTick, over all inferences; None where one took more than SysTick can count. Of use under `-icount`.
    """

    outputs: tuple[Sample, ...]
    stack_bytes: int
    ticks: int | None


def run(
    firmware: Firmware,
    samples: Sequence[Sample],
    output_bytes: Sequence[int],
    folder: Path,
    seconds: float,
    options: Sequence[str] = (),
) -> Answers:
    """Run the model on each sample.

    Args:
        samples: of each the bytes of each input tensor.
        output_bytes: of each output tensor.
        folder: where the firmware finds its files; they are written there.
        seconds: after which the emulator is ended.

    Raises:
        OverBudgetError: the stack outgrows what the RAM has left.
        ModelError: the model faults, refuses a sample or does not end.
    """
    (folder / "inputs.bin").write_bytes(_pack(samples, output_bytes))
    console = ("-display", "none", "-serial", "none", "-monitor", "none")
    semihosting = ("-semihosting-config", "enable=on,target=native")
    command = [EMULATOR, "-M", firmware.core.machine, *console, *semihosting, "-kernel", str(firmware.path), *options]
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=seconds, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"{firmware.path.stem} on the emulated {firmware.core.title} did not end within {seconds:g} s",
            "fewer samples or more time; an endless loop in the C code looks the same",
        ) from error
    if done.returncode != ENDED_WELL:
        raise _failure(done.returncode, done.stderr, firmware, folder)
    return _unpack(folder, output_bytes)


def _pack(samples: Sequence[Sample], output_bytes: Sequence[int]) -> bytes:
    """inputs.bin, as harness/main.c reads it."""
    input_bytes = [len(tensor) for tensor in samples[0]]
    if any([len(tensor) for tensor in sample] != input_bytes for sample in samples):
        raise ModelError("the samples have inputs of different sizes")
    header = (len(samples), len(input_bytes), len(output_bytes), *input_bytes, *output_bytes)
    return struct.pack(f"<{len(header)}I", *header) + b"".join(tensor for sample in samples for tensor in sample)


def _unpack(folder: Path, output_bytes: Sequence[int]) -> Answers:
    """The files that the firmware wrote."""
    measures = list(struct.iter_unpack("<2I", (folder / "measures.bin").read_bytes()))
    ticks = [ticks for _, ticks in measures]
    data, start, outputs = (folder / "outputs.bin").read_bytes(), 0, []
    for _ in measures:
        tensors = []
        for size in output_bytes:
            tensors.append(data[start : start + size])
            start += size
        outputs.append(tuple(tensors))
    stack = max(stack for stack, _ in measures)
    return Answers(tuple(outputs), stack, None if WRAPPED in ticks else sum(ticks))


def _failure(status: int, said: str, firmware: Firmware, folder: Path) -> EdgekdError:
    """Why a firmware ended with that status."""
    what = f"{firmware.path.stem} on the emulated {firmware.core.title}"
    if status == ENDED_BY_STACK:
        left = firmware.ram_bytes - firmware.static_ram
        return OverBudgetError(
            f"{what}: the stack outgrows the {left:,} of {firmware.ram_bytes:,} B of RAM beside variables and arena",
            "a smaller student, or a higher limit: --set limits.peak_ram_bytes=...",
        )
    if status == ENDED_BY_MODEL:
        return ModelError(f"{what}: invoke reported an error")
    if status == ENDED_BY_FAULT:
        [address] = struct.unpack("<I", (folder / "fault.bin").read_bytes())
        inside = [symbol.name for symbol in firmware.functions if symbol.address <= address]
        return ModelError(f"{what} faulted at {address:#x}, in {inside[-1] if inside else 'no function'}")
    lines = said.strip().splitlines()
    return EdgekdError(f"{what}: {EMULATOR} ended with status {status}{': ' + lines[-1] if lines else ''}")
