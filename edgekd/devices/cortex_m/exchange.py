"""Writes and reads for both emulators the files that harness/main.c exchanges, and explains its exit codes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.devices.cortex_m.firmware import Firmware
from edgekd.errors import EdgekdError, ModelError, OverBudgetError

# The exit codes of a firmware, which harness/host.h defines.
ENDED_WELL, ENDED_BY_FAULT, ENDED_BY_STACK, ENDED_BY_MODEL = 0, 101, 102, 103
WRAPPED = 2**32 - 1
Sample = tuple[bytes, ...]


@dataclass(frozen=True)
class Answers:
    """The outputs and measurements of a firmware.

    Attributes:
        outputs: the bytes of each output tensor, for each sample.
        stack_bytes: the largest stack of an inference, in bytes.
        ticks: the ticks of SysTick over all inferences, which count instructions under `-icount`; None if an inference
            took more than SysTick can count.
    """

    outputs: tuple[Sample, ...]
    stack_bytes: int
    ticks: int | None


def write_inputs(samples: Sequence[Sample], output_bytes: Sequence[int], folder: Path) -> None:
    """Write inputs.bin, with the bytes of each input tensor of each sample."""
    input_bytes = [len(tensor) for tensor in samples[0]]
    if any([len(tensor) for tensor in sample] != input_bytes for sample in samples):
        raise ModelError("the samples have inputs of different sizes")
    header = (len(samples), len(input_bytes), len(output_bytes), *input_bytes, *output_bytes)
    data = struct.pack(f"<{len(header)}I", *header) + b"".join(tensor for sample in samples for tensor in sample)
    (folder / "inputs.bin").write_bytes(data)


def read_answers(output_bytes: Sequence[int], folder: Path) -> Answers:
    """Read the outputs from outputs.bin and the measurements from measures.bin."""
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


def exit_error(status: int, message: str, firmware: Firmware, folder: Path) -> EdgekdError:
    """Return the error for a firmware's exit status; `message` is the output of the emulator."""
    what = f"{firmware.path.stem} on the emulated {firmware.core.title}"
    if status == ENDED_BY_STACK:
        rest = firmware.ram_bytes - firmware.static_ram
        return OverBudgetError(
            f"{what}: the stack outgrows the {rest:,} of {firmware.ram_bytes:,} B of RAM beside variables and arena",
            "a smaller student, or a higher limit: --set limits.peak_ram_bytes=...",
        )
    if status == ENDED_BY_MODEL:
        return ModelError(f"{what}: invoke reported an error")
    if status == ENDED_BY_FAULT:
        [address] = struct.unpack("<I", (folder / "fault.bin").read_bytes())
        names = [symbol.name for symbol in firmware.image.functions if symbol.address <= address]
        return ModelError(f"{what} faulted at {address:#x}, in {names[-1] if names else 'no function'}")
    lines = message.strip().splitlines()
    return EdgekdError(f"{what}: the emulator ended with status {status}{': ' + lines[-1] if lines else ''}")


def timeout_error(firmware: Firmware, seconds: float) -> ModelError:
    """Return the error for a firmware that exceeded its time limit."""
    return ModelError(
        f"{firmware.path.stem} on the emulated {firmware.core.title} did not end within {seconds:g} s",
        "fewer samples or more time; an endless loop in the C code looks the same",
    )
