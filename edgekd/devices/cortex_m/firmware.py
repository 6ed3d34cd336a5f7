"""Firmware of one model for one core: compiled, linked into the memory that a target allows, measured by section."""

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
# What GNU ld and LLVM's lld say of a region that is too short.
OVERFLOWS = (
    r"region `(?P<region>FLASH|RAM)' overflowed by (?P<by>\d+) bytes",
    r"will not fit in region '(?P<region>FLASH|RAM)': overflowed by (?P<by>\d+) bytes",
)
FULL = r"section [`'](\S+)' will not fit in region [`'](\w+)'"


@dataclass(frozen=True)
class Budget:
    """The memory that a target allows, in bytes; None: all that the emulated board has."""

    flash_bytes: int | None = None
    ram_bytes: int | None = None


@dataclass(frozen=True)
class Firmware:
    """A linked image.

    Attributes:
        ram_bytes: that the target allows, of which the sections leave the rest to the stack.
    """

    path: Path
    core: Core
    image: elf.Image = field(repr=False)
    ram_bytes: int

    @property
    def sections(self) -> dict[str, int]:
        """Bytes of ".text", ".rodata", ".data", ".bss" and ".arena"; the harness is in none of them."""
        return {name: self.image.sections.get(name, 0) for name in dict.fromkeys((*FLASH_SECTIONS, *RAM_SECTIONS))}

    @property
    def flash(self) -> int:
        """Bytes of code, constants and initial values."""
        return sum(self.sections[name] for name in FLASH_SECTIONS)

    @property
    def static_ram(self) -> int:
        """Bytes of variables and the arena: the RAM without the stack."""
        return sum(self.sections[name] for name in RAM_SECTIONS)

    @property
    def symbol_bytes(self) -> dict[str, int]:
        """Of each function, constant and variable outside the harness, in ascending order of their addresses."""
        _, flash_origin, _ = self.core.origins
        symbols = (*self.image.functions, *self.image.objects)
        return {symbol.name: symbol.size for symbol in symbols if symbol.address >= flash_origin and symbol.size}


def build(
    sources: Sequence[Path], core: Core, budget: Budget, folder: Path, compiler: str = "gcc", optimise: str = "-O2"
) -> Firmware:
    """Compile a model's C files with the harness and link them in `folder`.

    Args:
        sources: one header, whose stem is the model's name, and the `.c` files beside it.
        compiler: of `COMPILERS`.
        optimise: the compiler's level for the model.

    Raises:
        OverBudgetError: code or variables don't fit; names the region and the overflow in bytes.
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
    done = _run((*command, *options, *map(str, objects), "-o", str(image)))
    if done.returncode != 0:
        raise _link_error(done.stderr, header.stem, core, {"FLASH": flash, "RAM": ram})
    return Firmware(image, core, elf.read(image), ram)


def model_header(sources: Sequence[Path]) -> Path:
    """The header among a model's files."""
    headers = [file for file in sources if file.suffix == ".h"]
    if len(headers) != 1:
        raise ModelError(f"a model's C files have one header, not {len(headers)}: {', '.join(map(str, sources))}")
    return headers[0]


def _lengths(core: Core, budget: Budget) -> tuple[int, int]:
    """Bytes of FLASH and RAM; ConfigError where the emulated board has less than the target allows."""
    lengths = []
    for what, allowed, has in (
        ("flash", budget.flash_bytes, core.flash_bytes),
        ("RAM", budget.ram_bytes, core.ram_bytes - HARNESS_STACK_BYTES),
    ):
        if allowed is not None and allowed > has:
            raise ConfigError(
                f"the target allows {allowed:,} B of {what}; the emulated {core.machine} has {has:,} B",
                f"a limit of at most {has:,} B",
            )
        lengths.append(has if allowed is None else allowed)
    return lengths[0], lengths[1]


def _macros(header: Path) -> list[str]:
    """The model's names, as harness/main.c calls them."""
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
    """One object file; those of the harness carry a prefix by which link.ld knows them."""
    to = folder / f"{prefix}{file.stem}.o"
    done = _run((*command, *WARNINGS, f"-I{header.parent}", "-c", str(file), "-o", str(to)))
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error:" in line]
        raise ModelError(f"{file.name} does not compile: {(errors or [done.stderr.strip()])[0]}")
    return to


def _script(core: Core, flash: int, ram: int, folder: Path) -> Path:
    """harness/link.ld with the lengths and origins that it asks for in front."""
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


def _link_error(said: str, name: str, core: Core, lengths: Mapping[str, int]) -> OverBudgetError | ModelError:
    """What the linker's complaint means: regions that overflow, or anything else."""
    misses: dict[str, int] = {}
    for pattern in OVERFLOWS:
        for match in re.finditer(pattern, said):  # lld says it once for each section: the last is the whole
            misses[match["region"]] = int(match["by"])
    if not misses:
        lines = [line for line in said.splitlines() if line.strip()]
        wrong = [line for line in lines if "undefined" in line or "multiple definition" in line or "duplicate" in line]
        return ModelError(f"{name} does not link for {core.title}: {(wrong or lines)[0].strip()}")
    sections = {region: section for section, region in reversed(re.findall(FULL, said))}  # the first that is too long
    overflows = [
        f"{region} ({sections.get(region, '.text')}) overflows by {by:,} of {lengths[region]:,} B"
        for region, by in misses.items()
    ]
    return OverBudgetError(
        f"{name} does not fit {core.title}: {'; '.join(overflows)}",
        'a smaller student, prune.until = "limits", or a higher limit: --set limits.NAME=...',
    )


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
