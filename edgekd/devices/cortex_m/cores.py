"""The Cortex-M cores that can be emulated, one row each: how to compile for one, and what runs its code."""

from dataclasses import dataclass

from edgekd.errors import ConfigError, nearest

KIB, MIB = 1024, 1024**2


@dataclass(frozen=True)
class Core:
    """One core, and the board of QEMU that executes its code.

    The board only lends its memory: FLASH and RAM are as long as the target's limits, and lie where it has enough.

    Attributes:
        title: as Arm writes it, with the extensions that the flags ask for.
        flags: of GCC.
        machine: of QEMU.
        emulates: the core that the machine has: another where no board with the core itself has enough memory.
        origins: addresses of the harness, whose vector table the core boots from, of FLASH and of RAM.
        flash_bytes, ram_bytes: that the machine has there.
        tick_instructions: executed in a tick of SysTick under `-icount shift=0`, where an instruction takes 1 ns.
    """

    title: str
    flags: tuple[str, ...]
    machine: str
    emulates: str
    origins: tuple[int, int, int]
    flash_bytes: int
    ram_bytes: int
    tick_instructions: float


# The memory maps are those of QEMU's boards (hw/arm/mps2.c and mps2-tz.c), SysTick's ticks those of their system
# clocks: 25 MHz (AN385, AN386, AN500), 20 MHz (AN505), 32 MHz (AN547).
_SMALL = (0x0000_0000, 0x0001_0000, 0x2000_0000)
_FLASH, _RAM = 4 * MIB - 64 * KIB, 4 * MIB

CORES = {
    # QEMU's boards with a Cortex-M0 have 16 KiB of RAM, and Armv7-M executes all of Armv6-M. Unaligned accesses fault
    # there too, as they do on the core itself: see startup.c.
    "cortex-m0plus": Core(
        "Cortex-M0+", ("-mcpu=cortex-m0plus",), "mps2-an385", "Cortex-M3", _SMALL, _FLASH, _RAM, 40.0
    ),
    "cortex-m3": Core("Cortex-M3", ("-mcpu=cortex-m3",), "mps2-an385", "Cortex-M3", _SMALL, _FLASH, _RAM, 40.0),
    "cortex-m4": Core(
        "Cortex-M4 (DSP, FPU)",
        ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
        "mps2-an386", "Cortex-M4", _SMALL, _FLASH, _RAM, 40.0,
    ),
    "cortex-m7": Core(
        "Cortex-M7 (DSP, FPU)",
        ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        "mps2-an500", "Cortex-M7", _SMALL, _FLASH, _RAM, 40.0,
    ),
    "cortex-m33": Core(
        "Cortex-M33 (DSP, FPU)",
        ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        "mps2-an505", "Cortex-M33", (0x1000_0000, 0x1001_0000, 0x3800_0000), _FLASH, 2 * MIB, 50.0,
    ),
    "cortex-m55": Core(
        "Cortex-M55 (DSP, FPU, MVE)",
        ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
        "mps3-an547", "Cortex-M55", (0x0000_0000, 0x1100_0000, 0x3100_0000), 2 * MIB, 4 * MIB, 31.25,
    ),
}  # fmt: skip
"""By the name that GCC has for the core."""


def core_id(name: str) -> str | None:
    """The key in `CORES` of a core as a target's `device.core` writes it ("Cortex-M0+"); None where it has no row."""
    key = name.lower().replace("+", "plus")
    return key if key in CORES else None


def core_named(name: str) -> Core:
    """The row of a core, by its key or as Arm writes it; ConfigError where it has none."""
    key = core_id(name)
    if key is None:
        guess = nearest(name.lower(), CORES)
        raise ConfigError(f"there is no emulator of a core {name!r}", guess or f"one of {', '.join(CORES)}")
    return CORES[key]
