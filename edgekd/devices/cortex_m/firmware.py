"""Compiles and links a model's C files for a core within the memory that a target allows, for the emulators."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekd.devices.cortex_m import elf
from edgekd.devices.cortex_m.cores import Core
from edgekd.devices.cortex_m.tools import COMPILERS
from edgekd.errors import ConfigError, ModelError, OverBudgetError

HARNESS = Path(__file__).parent / "harness"
HARNESS_BYTES, HARNESS_STACK_BYTES = 64 * 1024, 1024
HARNESS_SOURCES = ("host.c", "startup.c", "main.c")
HARNESS_FLAGS = ("-O2", "-ffreestanding")
MODEL_FLAGS = ("-ffunction-sections", "-fdata-sections")
WARNINGS = ("-std=c99", "-Wall", "-Wextra")
FLASH_SECTIONS, RAM_SECTIONS = (".text", ".rodata", ".data"), (".data", ".bss", ".arena")
# The messages of GNU ld and LLVM's lld if a memory region is too small.
OVERFLOWS = (
    r"region `(?P<region>FLASH|RAM)' overflowed by (?P<by>\d+) bytes",
    r"will not fit in region '(?P<region>FLASH|RAM)': overflowed by (?P<by>\d+) bytes",
)
FULL = r"section [`'](\S+)' will not fit in region [`'](\w+)'"


@dataclass(frozen=True)
class Budget:
    """The memory that a target allows, in bytes; None stands for all memory of the emulated board."""

    flash_bytes: int | None = None
    ram_bytes: int | None = None


@dataclass(frozen=True)
class Firmware:
    """A linked image.

    Attributes:
        path: the path of the ELF file.
        core: the core for which it was compiled.
        image: the contents of the ELF file.
        ram_bytes: the RAM that the target allows, in bytes; the sections leave the rest to the stack.
    """

    path: Path
    core: Core
    image: elf.Image = field(repr=False)
    ram_bytes: int

    @property
    def sections(self) -> dict[str, int]:
        """Return the bytes of ".text", ".rodata", ".data", ".bss" and ".arena", which do not contain the harness."""
        return {name: self.image.sections.get(name, 0) for name in dict.fromkeys((*FLASH_SECTIONS, *RAM_SECTIONS))}

    @property
    def flash(self) -> int:
        """Return the bytes of flash: code, constants and initial values."""
        return sum(self.sections[name] for name in FLASH_SECTIONS)

    @property
    def static_ram(self) -> int:
        """Return the bytes of RAM without the stack: variables and the arena."""
        return sum(self.sections[name] for name in RAM_SECTIONS)

    @property
    def symbol_bytes(self) -> dict[str, int]:
        """Return the bytes of each function, constant and variable outside the harness, in order of their addresses."""
        _, flash_origin, _ = self.core.origins
        symbols = (*self.image.functions, *self.image.objects)
        return {symbol.name: symbol.size for symbol in symbols if symbol.address >= flash_origin and symbol.size}


def build(
    sources: Sequence[Path], core: Core, budget: Budget, folder: Path, compiler: str = "gcc", optimise: str = "-O2"
) -> Firmware:
    """Compile a model's C files with the harness and link them in `folder`.

    Args:
        sources: one header, whose stem is the model's name, and the `.c` files beside it.
        core: the core to compile for.
        budget: the flash and RAM of the target.
        folder: the folder for object files, linker script and image.
        compiler: a name in `COMPILERS`.
        optimise: the compiler's optimisation level for the model.

    Raises:
        OverBudgetError: code or variables do not fit; the message has the region and the overflow in bytes.
        ModelError: the model does not compile or link.
    """
    header = model_header(sources)
    flash, ram = _lengths(core, budget)
    row = COMPILERS[compiler]
    command = row.command(core)
    macros = _macros(header)
    objects = [
        _compile((*command, *HARNESS_FLAGS, *row.harness_flags, *macros), HARNESS / name, header, folder, "harness_")
        for name in HARNESS_SOURCES
    ]
    for file in sources:
        if file.suffix == ".c":
            objects.append(_compile((*command, optimise, *MODEL_FLAGS), file, header, folder))
    script, image = _script(core, flash, ram, folder), folder / f"{header.stem}.elf"
    options = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,-e,harness_reset", f"-Wl,-T,{script}")
    link = _run((*command, *options, *map(str, objects), "-o", str(image)))
    if link.returncode != 0:
        raise _link_error(link.stderr, header.stem, core, {"FLASH": flash, "RAM": ram})
    return Firmware(image, core, elf.read(image), ram)


def model_header(sources: Sequence[Path]) -> Path:
    """Return the header among a model's files."""
    headers = [file for file in sources if file.suffix == ".h"]
    if len(headers) != 1:
        raise ModelError(f"a model's C files have one header, not {len(headers)}: {', '.join(map(str, sources))}")
    return headers[0]


def _lengths(core: Core, budget: Budget) -> tuple[int, int]:
    """Return the bytes of FLASH and RAM; raise a ConfigError if the board has less than the target allows."""
    lengths = []
    for what, allowed, available in (
        ("flash", budget.flash_bytes, core.flash_bytes),
        ("RAM", budget.ram_bytes, core.ram_bytes - HARNESS_STACK_BYTES),
    ):
        if allowed is not None and allowed > available:
            raise ConfigError(
                f"the target allows {allowed:,} B of {what}; the emulated {core.machine} has {available:,} B",
                f"a limit of at most {available:,} B",
            )
        lengths.append(available if allowed is None else allowed)
    return lengths[0], lengths[1]


def _macros(header: Path) -> list[str]:
    """Return the compiler flags that define the macros of harness/main.c for the model's names."""
    name = header.stem
    macros: Mapping[str, str] = {
        "MODEL_HEADER": f'"{header.name}"',
        "MODEL_ARENA_BYTES": f"{name.upper()}_ARENA_BYTES",
        "MODEL_INPUT": f"{name}_input",
        "MODEL_OUTPUT": f"{name}_output",
        "MODEL_INVOKE": f"{name}_invoke",
    }
    return [f"-D{macro}={value}" for macro, value in macros.items()]


def _compile(command: Sequence[str], file: Path, header: Path, folder: Path, prefix: str = "") -> Path:
    """Compile one file to an object file; link.ld recognises the harness by the prefix of its object files."""
    object_file = folder / f"{prefix}{file.stem}.o"
    process = _run((*command, *WARNINGS, f"-I{header.parent}", "-c", str(file), "-o", str(object_file)))
    if process.returncode != 0:
        errors = [line for line in process.stderr.splitlines() if "error:" in line]
        raise ModelError(f"{file.name} does not compile: {(errors or [process.stderr.strip()])[0]}")
    return object_file


def _script(core: Core, flash: int, ram: int, folder: Path) -> Path:
    """Write the linker script: the symbols with addresses and sizes, followed by harness/link.ld."""
    harness_origin, flash_origin, ram_origin = core.origins
    symbols = {
        "harness_origin": harness_origin,
        "harness_bytes": HARNESS_BYTES,
        "harness_stack_bytes": HARNESS_STACK_BYTES,
        "flash_origin": flash_origin,
        "flash_bytes": flash,
        "ram_origin": ram_origin,
        "ram_bytes": ram,
    }
    script = folder / "link.ld"
    lines = [f"{name} = {value:#x};\n" for name, value in symbols.items()]
    script.write_text("".join(lines) + (HARNESS / "link.ld").read_text(encoding="utf-8"), encoding="utf-8")
    return script


def _link_error(messages: str, name: str, core: Core, lengths: Mapping[str, int]) -> OverBudgetError | ModelError:
    """Return the error for the linker's messages: OverBudgetError if a region overflows, otherwise ModelError."""
    overflow_bytes: dict[str, int] = {}
    for pattern in OVERFLOWS:
        for match in re.finditer(pattern, messages):  # lld repeats the message for each section; the last has the sum
            overflow_bytes[match["region"]] = int(match["by"])
    if not overflow_bytes:
        lines = [line for line in messages.splitlines() if line.strip()]
        errors = [line for line in lines if "undefined" in line or "multiple definition" in line or "duplicate" in line]
        return ModelError(f"{name} does not link for {core.title}: {(errors or lines)[0].strip()}")
    # Reversed, so that the first section that overflows is named.
    sections = {region: section for section, region in reversed(re.findall(FULL, messages))}
    overflows = [
        f"{region} ({sections.get(region, '.text')}) overflows by {by:,} of {lengths[region]:,} B"
        for region, by in overflow_bytes.items()
    ]
    return OverBudgetError(
        f"{name} does not fit {core.title}: {'; '.join(overflows)}",
        'a smaller student, prune.until = "limits", or a higher limit: --set limits.NAME=...',
    )


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
