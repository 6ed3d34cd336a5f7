"""Runs a firmware under Unicorn in this process and counts its instructions, for machines without QEMU."""

import struct
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

from edgekd.devices.cortex_m.counts import START, STOP, Counts, counts_by_function
from edgekd.devices.cortex_m.exchange import (
    ENDED_BY_FAULT,
    ENDED_BY_STACK,
    ENDED_WELL,
    Answers,
    Sample,
    exit_error,
    read_answers,
    timeout_error,
    write_inputs,
)
from edgekd.devices.cortex_m.firmware import HARNESS_BYTES, Firmware

PAGE = 0x1000
SYSTEM_REGISTERS = 0xE000_E000
BREAKPOINT = 7  # QEMU's number EXCP_BKPT of the exception that semihosting's BKPT 0xAB raises
OPEN, CLOSE, WRITE, READ, EXIT_EXTENDED = 0x01, 0x02, 0x05, 0x06, 0x20  # Arm Semihosting, release 2.0
READ_MODE = 1


def run(
    firmware: Firmware, samples: list[Sample], output_bytes: list[int], folder: Path, seconds: float
) -> tuple[Answers, Counts | None]:
    """Run the model on each sample; arguments, result and errors are those of `qemu.run`."""
    write_inputs(samples, output_bytes, folder)
    machine = _Machine(firmware, folder)
    status = machine.execute(seconds)
    if status is None:
        raise timeout_error(firmware, seconds)
    if status != ENDED_WELL:
        raise exit_error(status, machine.message, firmware, folder)
    return read_answers(output_bytes, folder), counts_by_function(machine.counts(), firmware, "Unicorn, each block")


class _Machine:
    """An emulated core with the firmware in its memory and the files that it opens through semihosting."""

    def __init__(self, firmware: Firmware, folder: Path) -> None:
        import unicorn
        from unicorn import arm_const

        self.firmware, self.folder, self.registers, self.unicorn = firmware, folder, arm_const, unicorn
        self.files: dict[int, BinaryIO] = {}
        self.status: int | None = None
        self.message = ""
        self.blocks: Counter[tuple[int, int]] = Counter()
        self.counting = False
        self.cpu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.cpu.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{firmware.core.unicorn}"))
        self._map_memory()
        self._hook()

    def _map_memory(self) -> None:
        core = self.firmware.core
        harness_origin, flash_origin, ram_origin = core.origins
        self.cpu.mem_map(harness_origin, HARNESS_BYTES)
        self.cpu.mem_map(flash_origin, core.flash_bytes)
        self.cpu.mem_map(ram_origin, core.ram_bytes)
        # Unicorn has no SysTick and no MPU, and its FPU is always on, so plain memory stands for the registers.
        self.cpu.mem_map(SYSTEM_REGISTERS, PAGE)
        for address, data in self.firmware.image.loads:
            self.cpu.mem_write(address, data)

    def _hook(self) -> None:
        hook, labels = self.cpu.hook_add, self.firmware.image.labels
        hook(self.unicorn.UC_HOOK_INTR, self._on_exception)
        hook(self.unicorn.UC_HOOK_BLOCK, self._on_block)
        for label, counting in ((START, True), (STOP, False)):
            address = labels[label] & ~1
            hook(self.unicorn.UC_HOOK_CODE, self._on_marker, counting, address, address)

    def execute(self, seconds: float) -> int | None:
        """Run the firmware and return its exit status, or None if it does not end within `seconds`."""
        stack, entry = struct.unpack("<2I", self._memory(self.firmware.core.origins[0], 8))
        self.cpu.reg_write(self.registers.UC_ARM_REG_SP, stack)
        try:
            self.cpu.emu_start(entry, 2**32 - 1, timeout=round(seconds * 1e6))
        except self.unicorn.UcError as error:
            self.message = str(error)
            self._fault()
        finally:
            for file in self.files.values():
                file.close()
        return self.status

    def counts(self) -> dict[int, int]:
        """Return the number of executions of each address; a block is always executed as a whole."""
        by_address: Counter[int] = Counter()
        for (start, size), times in self.blocks.items():
            code, at = self._memory(start, size), 0
            while at < size:
                by_address[start + at] += times
                # The first halfword of a Thumb instruction determines its length.
                at += 4 if code[at + 1] >> 3 >= 0b11101 else 2
        return by_address

    def _on_block(self, _: Any, address: int, size: int, __: Any) -> None:
        if self.counting:
            self.blocks[address, size] += 1

    def _on_marker(self, _: Any, __: int, ___: int, counting: bool) -> None:
        self.counting = counting

    def _on_exception(self, _: Any, number: int, __: Any) -> None:
        if number != BREAKPOINT:
            self.message = f"exception {number}"
            self._fault()
            self.cpu.emu_stop()
            return
        registers = self.registers
        operation = self.cpu.reg_read(registers.UC_ARM_REG_R0)
        answer = self._serve(operation, self.cpu.reg_read(registers.UC_ARM_REG_R1))
        self.cpu.reg_write(registers.UC_ARM_REG_R0, answer)
        if self.status is None:
            self.cpu.reg_write(registers.UC_ARM_REG_PC, self.cpu.reg_read(registers.UC_ARM_REG_PC) + 2 | 1)

    def _serve(self, operation: int, arguments: int) -> int:
        """Serve one semihosting call and return its result."""
        first, second, third = struct.unpack("<3I", self._memory(arguments, 12))
        if operation == OPEN:
            file = (self.folder / self._memory(first, third).decode()).open("rb" if second == READ_MODE else "wb")
            self.files[file.fileno()] = file
            return int(file.fileno())
        if operation == CLOSE:
            self.files.pop(first).close()
        elif operation == WRITE:
            self.files[first].write(self._memory(second, third))
        elif operation == READ:
            data = self.files[first].read(third)
            self.cpu.mem_write(second, data)
            return int(third - len(data))
        elif operation == EXIT_EXTENDED:
            self.status = second
            self.cpu.emu_stop()
        return 0

    def _fault(self) -> None:
        """Record a fault as harness/startup.c does, since Unicorn does not deliver faults to the firmware."""
        stack = self.cpu.reg_read(self.registers.UC_ARM_REG_SP)
        address = self.cpu.reg_read(self.registers.UC_ARM_REG_PC)
        (self.folder / "fault.bin").write_bytes(struct.pack("<I", address))
        self.status = ENDED_BY_STACK if stack < self.firmware.image.labels["stack_bottom"] else ENDED_BY_FAULT

    def _memory(self, address: int, size: int) -> bytes:
        return bytes(self.cpu.mem_read(address, size))
