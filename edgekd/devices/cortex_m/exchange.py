"""What a firmware reads and writes, and how it ends: the files of harness/main.c, whichever emulator executes it."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.devices.cortex_m.firmware import Firmware
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


def write_inputs(samples: Sequence[Sample], output_bytes: Sequence[int], folder: Path) -> None:
    """inputs.bin: of each sample the bytes of each input tensor."""
    input_bytes = [len(tensor) for tensor in samples[0]]
    if any([len(tensor) for tensor in sample] != input_bytes for sample in samples):
        raise ModelError("the samples have inputs of different sizes")
    header = (len(samples), len(input_bytes), len(output_bytes), *input_bytes, *output_bytes)
    data = struct.pack(f"<{len(header)}I", *header) + b"".join(tensor for sample in samples for tensor in sample)
    (folder / "inputs.bin").write_bytes(data)


def read_answers(output_bytes: Sequence[int], folder: Path) -> Answers:
    """outputs.bin and measures.bin."""
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


def failure(status: int, said: str, firmware: Firmware, folder: Path) -> EdgekdError:
    """Why a firmware ended with that status; `said`: the emulator's own words."""
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
        inside = [symbol.name for symbol in firmware.image.functions if symbol.address <= address]
        return ModelError(f"{what} faulted at {address:#x}, in {inside[-1] if inside else 'no function'}")
    lines = said.strip().splitlines()
    return EdgekdError(f"{what}: the emulator ended with status {status}{': ' + lines[-1] if lines else ''}")


def did_not_end(firmware: Firmware, seconds: float) -> ModelError:
    """The error of a firmware that outran its time."""
    return ModelError(
        f"{firmware.path.stem} on the emulated {firmware.core.title} did not end within {seconds:g} s",
        "fewer samples or more time; an endless loop in the C code looks the same",
    )
