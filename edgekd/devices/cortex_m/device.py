"""An emulated Cortex-M as a device: describe it, put a model's C files on it, run them, close it."""

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
    """What a model did on an emulated core.

    Attributes:
        outputs: of each output tensor the bytes of all samples, `(N, bytes)` int8.
        counts: executed instructions over all samples; None where an inference outran the fallback's clock.
        stack_bytes: the high-water mark of the stack, over all samples.
        sections: bytes of ".text", ".rodata", ".data", ".bss" and ".arena".
        symbol_bytes: of each function and object that takes flash or RAM.
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
        """Of one inference, on average over the samples."""
        return self.counts.total / self.samples if self.counts else None

    def instructions_per_mac(self, macs: int) -> float | None:
        """Of an inference with so many multiply-accumulates."""
        return self.instructions / macs if self.instructions is not None else None

    @property
    def instructions_by_function(self) -> dict[str, float]:
        """Of one inference; empty where only the total is known."""
        return {name: count / self.samples for name, count in (self.counts.by_function if self.counts else {}).items()}


class CortexM:
    """An emulated core with the memory of a target.

    Args:
        core: its key in `CORES`, or its name as Arm writes it.
        compiler, emulator: by their names in `COMPILERS` and `EMULATORS`; by default the first that is installed.
        seconds: after which a run is ended.
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
        """Where the firmware and its files lie until the device is closed."""
        return Path(self._folder.name)

    def describe(self) -> dict[str, str]:
        """{"core", "compiler", "emulator"}, with versions."""
        return {
            "core": self.core.title,
            "compiler": COMPILERS[self.compiler].version(),
            "emulator": EMULATORS[self.emulator].describe(self.core),
        }

    def put(self, files: Sequence[Path], optimise: str = "-O2") -> Firmware:
        """Build the firmware of a model's C files; OverBudgetError where it does not fit."""
        self._firmware = build(files, self.core, self.budget, self.folder, self.compiler, optimise)
        return self._firmware

    def run(self, samples: Sequence[Sample], output_bytes: Sequence[int]) -> tuple[Answers, Counts | None]:
        """Run the model on each sample, counting; OverBudgetError where the stack outgrows the RAM.

        Args:
            samples: of each the bytes of each input tensor.
            output_bytes: of one sample, for each output tensor.
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
    """Build a model's C files for a core, run them on samples, and count.

    Args:
        c_files: one header, whose stem is the model's name, and the `.c` files beside it.
        core: its key in `CORES`, or its name as Arm writes it.
        inputs: of each input tensor the samples, `(N, ...)`, channels last, in the model's own integers.
        output_bytes: of one sample, for each output tensor.
        compiler, emulator, seconds: as `CortexM` takes them.

    Raises:
        MissingExtraError: compiler or emulator are not installed.
        OverBudgetError: flash or RAM are more than the budget.
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
