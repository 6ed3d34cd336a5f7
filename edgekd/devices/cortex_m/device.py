"""Gives the profile stage and tests an emulated Cortex-M that runs a model's C files."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from edgekd.devices.cortex_m import qemu, unicorn_cpu
from edgekd.devices.cortex_m.cores import core_named
from edgekd.devices.cortex_m.counts import Counts
from edgekd.devices.cortex_m.exchange import Answers, Sample
from edgekd.devices.cortex_m.firmware import Budget, Firmware, build
from edgekd.devices.cortex_m.tools import COMPILERS, EMULATORS, choose_tools
from edgekd.errors import EdgekdError, OverBudgetError

SECONDS = 300.0
RUNS = {"qemu": qemu.run, "unicorn": unicorn_cpu.run}


@dataclass(frozen=True)
class EmulatedRun:
    """The results of a model on an emulated core.

    Attributes:
        outputs: the bytes of each output tensor, `(N, bytes)` int8.
        samples: the number of samples N.
        counts: the executed instructions over all samples; None if an inference overflowed the timer that counts when
            QEMU's plugin cannot be built.
        stack_bytes: the largest size of the stack over all samples, in bytes.
        sections: the bytes of ".text", ".rodata", ".data", ".bss" and ".arena".
        symbol_bytes: the bytes of each function and object in flash or RAM.
        flash_bytes: the bytes of code, constants and initial values.
        ram_bytes: the bytes of variables, arena and stack.
        source: the core, the compiler, the emulator and the counter, for a figure of origin "emulated".
    """

    outputs: tuple[np.ndarray, ...]
    samples: int
    counts: Counts | None
    stack_bytes: int
    sections: Mapping[str, int]
    symbol_bytes: Mapping[str, int]
    flash_bytes: int
    ram_bytes: int
    source: str

    @property
    def instructions(self) -> float | None:
        """Return the instructions of one inference, on average over the samples; None if they were not counted."""
        return self.counts.total / self.samples if self.counts else None

    def instructions_per_mac(self, macs: int) -> float | None:
        """Return the instructions for each of the `macs` multiply-accumulates of an inference."""
        return self.instructions / macs if self.instructions is not None else None

    @property
    def instructions_by_function(self) -> dict[str, float]:
        """Return each function's instructions of one inference; empty if only the total is known."""
        return {name: count / self.samples for name, count in (self.counts.by_function if self.counts else {}).items()}


class CortexM:
    """An emulated core with the memory of a target.

    Args:
        core: the core's key in `CORES`, or its name as Arm writes it.
        budget: the flash and RAM of the target.
        compiler, emulator: names in `COMPILERS` and `EMULATORS`; by default the first that is installed.
        seconds: the time limit of a run.
    """

    def __init__(
        self,
        core: str,
        budget: Budget,
        *,
        compiler: str | None = None,
        emulator: str | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self.core, self.budget, self.seconds = core_named(core), budget, seconds
        self.compiler, self.emulator = choose_tools(self.core, compiler, emulator)
        self._folder = tempfile.TemporaryDirectory(prefix="edgekd-")
        self._firmware: Firmware | None = None

    @property
    def folder(self) -> Path:
        """Return the folder of the firmware and its files, which `close` removes."""
        return Path(self._folder.name)

    def describe(self) -> dict[str, str]:
        """Return the "core", "compiler" and "emulator" in words, with versions."""
        return {
            "core": self.core.title,
            "compiler": COMPILERS[self.compiler].version(),
            "emulator": EMULATORS[self.emulator].describe(self.core),
        }

    def put(self, files: Sequence[Path], optimise: str = "-O2") -> Firmware:
        """Build the firmware of a model's C files; raise an OverBudgetError if it does not fit."""
        self._firmware = build(files, self.core, self.budget, self.folder, self.compiler, optimise)
        return self._firmware

    def run(self, samples: Sequence[Sample], output_bytes: Sequence[int]) -> tuple[Answers, Counts | None]:
        """Run the model on each sample and count instructions; raise an OverBudgetError if the stack exceeds the RAM.

        Args:
            samples: the bytes of each input tensor, for each sample.
            output_bytes: the bytes of each output tensor of one sample.
        """
        firmware = self._firmware
        if firmware is None:
            raise EdgekdError("there is no model on the device yet", "put its C files there first")
        answers, counts = RUNS[self.emulator](firmware, list(samples), list(output_bytes), self.folder, self.seconds)
        used = firmware.static_ram + answers.stack_bytes
        if used > firmware.ram_bytes:
            raise OverBudgetError(
                f"{firmware.path.stem} does not fit {self.core.title}: RAM (stack of {answers.stack_bytes:,} B) "
                f"overflows by {used - firmware.ram_bytes:,} of {firmware.ram_bytes:,} B",
                "a smaller student, or a higher limit: --set limits.peak_ram_bytes=...",
            )
        return answers, counts

    def close(self) -> None:
        """Remove the device's files."""
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def emulate(
    c_files: Sequence[Path],
    core: str,
    budget: Budget,
    inputs: Sequence[np.ndarray],
    output_bytes: Sequence[int],
    *,
    compiler: str | None = None,
    emulator: str | None = None,
    seconds: float = SECONDS,
) -> EmulatedRun:
    """Build a model's C files for a core, run them on samples and count instructions.

    Args:
        c_files: one header, whose stem is the model's name, and the `.c` files beside it.
        core: the core's key in `CORES`, or its name as Arm writes it.
        budget: the flash and RAM of the target.
        inputs: the samples of each input tensor, `(N, ...)`, channels last, in the model's integer type.
        output_bytes: the bytes of each output tensor of one sample.
        compiler, emulator, seconds: the arguments of `CortexM`.

    Raises:
        MissingExtraError: the compiler or the emulator is not installed.
        OverBudgetError: flash or RAM exceed the budget.
        ModelError: the model does not compile, faults, refuses a sample or does not end.
    """
    samples = [tuple(tensor[index].tobytes() for tensor in inputs) for index in range(len(inputs[0]))]
    with CortexM(core, budget, compiler=compiler, emulator=emulator, seconds=seconds) as device:
        firmware = device.put(c_files)
        answers, counts = device.run(samples, output_bytes)
        source = "; ".join((*device.describe().values(), *((counts.method,) if counts else ())))
    outputs = tuple(
        np.frombuffer(b"".join(sample[index] for sample in answers.outputs), np.int8).reshape(len(samples), -1)
        for index in range(len(output_bytes))
    )
    return EmulatedRun(
        outputs=outputs,
        samples=len(samples),
        counts=counts,
        stack_bytes=answers.stack_bytes,
        sections=firmware.sections,
        symbol_bytes=firmware.symbol_bytes,
        flash_bytes=firmware.flash,
        ram_bytes=firmware.static_ram + answers.stack_bytes,
        source=source,
    )
