"""The table of the Cortex-M cores that can be emulated, with compiler flags, emulated board and memory map."""

from dataclasses import dataclass

from edgekd.errors import ConfigError, nearest

KIB, MIB = 1024, 1024**2


@dataclass(frozen=True)
class Core:
    """One core, its compiler flags and the board that emulates it.

    The regions FLASH and RAM have the sizes of a target's limits and the addresses of the memory of QEMU's board. No
    other property of the board is used.

    Attributes:
        title: the core's name as Arm writes it, with the extensions that the flags enable.
        gcc, zig: the flags of each compiler.
        machine: the name of the board in QEMU.
        stand_in: the core of the board, which is another one if no board with the core itself has enough memory.
        unicorn: the core's name in Unicorn; "" if Unicorn does not emulate it.
        origins: the addresses of the harness, whose vector table the core boots from, of FLASH and of RAM.
        flash_bytes, ram_bytes: the sizes of the board's memory at these addresses, in bytes.
        tick_instructions: the number of instructions in a tick of QEMU's SysTick under `-icount shift=0`, where each
            instruction takes 1 ns.
    """

    title: str
    gcc: tuple[str, ...]
    zig: tuple[str, ...]
    machine: str
    stand_in: str
    unicorn: str
    origins: tuple[int, int, int]
    flash_bytes: int
    ram_bytes: int
    tick_instructions: float


# The memory maps are those of QEMU's boards (hw/arm/mps2.c and mps2-tz.c). SysTick ticks with their system clocks:
# 25 MHz (AN385, AN386, AN500), 20 MHz (AN505), 32 MHz (AN547).
_SMALL = (0x0000_0000, 0x0001_0000, 0x2000_0000)
_FLASH, _RAM = 4 * MIB - 64 * KIB, 4 * MIB
_SOFT, _HARD = ("-target", "thumb-freestanding-eabi"), ("-target", "thumb-freestanding-eabihf")

CORES = {
    # QEMU's boards with a Cortex-M0 have only 16 KiB of RAM, so a Cortex-M3 takes its place: Armv7-M executes all of
    # Armv6-M. harness/startup.c makes unaligned accesses fault there too, as they do on the Cortex-M0+.
    "cortex-m0plus": Core(
        "Cortex-M0+",
        gcc=("-mcpu=cortex-m0plus",),
        zig=(*_SOFT, "-mcpu=cortex_m0plus"),
        machine="mps2-an385", stand_in="Cortex-M3", unicorn="CORTEX_M0",
        origins=_SMALL, flash_bytes=_FLASH, ram_bytes=_RAM, tick_instructions=40.0,
    ),
    "cortex-m3": Core(
        "Cortex-M3",
        gcc=("-mcpu=cortex-m3",),
        zig=(*_SOFT, "-mcpu=cortex_m3"),
        machine="mps2-an385", stand_in="Cortex-M3", unicorn="CORTEX_M3",
        origins=_SMALL, flash_bytes=_FLASH, ram_bytes=_RAM, tick_instructions=40.0,
    ),
    "cortex-m4": Core(
        "Cortex-M4 (DSP, FPU)",
        gcc=("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
        zig=(*_HARD, "-mcpu=cortex_m4"),
        machine="mps2-an386", stand_in="Cortex-M4", unicorn="CORTEX_M4",
        origins=_SMALL, flash_bytes=_FLASH, ram_bytes=_RAM, tick_instructions=40.0,
    ),
    "cortex-m7": Core(
        "Cortex-M7 (DSP, FPU)",
        gcc=("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        zig=(*_HARD, "-mcpu=cortex_m7"),
        machine="mps2-an500", stand_in="Cortex-M7", unicorn="CORTEX_M7",
        origins=_SMALL, flash_bytes=_FLASH, ram_bytes=_RAM, tick_instructions=40.0,
    ),
    "cortex-m33": Core(
        "Cortex-M33 (DSP, FPU)",
        gcc=("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        zig=(*_HARD, "-mcpu=cortex_m33"),
        machine="mps2-an505", stand_in="Cortex-M33", unicorn="CORTEX_M33",
        origins=(0x1000_0000, 0x1001_0000, 0x3800_0000), flash_bytes=_FLASH, ram_bytes=2 * MIB, tick_instructions=50.0,
    ),
    "cortex-m55": Core(
        "Cortex-M55 (DSP, FPU, MVE)",
        gcc=("-mcpu=cortex-m55", "-mfloat-abi=hard"),
        zig=(*_HARD, "-mcpu=cortex_m55"),
        machine="mps3-an547", stand_in="Cortex-M55", unicorn="",
        origins=(0x0000_0000, 0x1100_0000, 0x3100_0000), flash_bytes=2 * MIB, ram_bytes=4 * MIB,
        tick_instructions=31.25,
    ),
}  # fmt: skip
"""The cores, keyed by their names in GCC."""


def core_id(name: str) -> str | None:
    """Return the key in `CORES` of a core's name such as "Cortex-M0+" in `device.core`, or None if it has no row."""
    key = name.lower().replace("+", "plus")
    return key if key in CORES else None


def core_named(name: str) -> Core:
    """Return the row of a core by its key or by Arm's name for it; raise a ConfigError if there is none."""
    key = core_id(name)
    if key is None:
        guess = nearest(name.lower(), CORES)
        raise ConfigError(f"there is no emulator of a core {name!r}", guess or f"one of {', '.join(CORES)}")
    return CORES[key]
