"""Firmware of one model for one core: compiled, linked into the memory that a target allows, measured by section."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekd.devices.cortex_m.cores import Core
from edgekd.devices.cortex_m.tools import COMPILER, run_tool
from edgekd.errors import ConfigError, ModelError, OverBudgetError

HARNESS = Path(__file__).parent / "harness"
HARNESS_BYTES, HARNESS_STACK_BYTES = 64 * 1024, 1024
# The plugin's markers and the painted stack must be what they seem: the compiler may not turn loops into calls.
HARNESS_FLAGS = ("-O2", "-ffreestanding", "-fno-tree-vectorize", "-fno-tree-loop-distribute-patterns")
MODEL_FLAGS = ("-ffunction-sections", "-fdata-sections")
WARNINGS = ("-std=c99", "-Wall", "-Wextra")
FLASH_SECTIONS, RAM_SECTIONS = (".text", ".rodata", ".data"), (".data", ".bss", ".arena")


@dataclass(frozen=True)
class Budget:
    """The memory that a target allows, in bytes; None: all that the emulated board has."""

    flash_bytes: int | None = None
    ram_bytes: int | None = None


@dataclass(frozen=True)
class Symbol:
    """A function or object of the firmware."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Firmware:
    """A linked image.

    Attributes:
        sections: bytes of ".text", ".rodata", ".data", ".bss" and ".arena"; the harness is in none of them.
        functions: in ascending order of their addresses; the harness's are among them.
        objects: constants and variables.
        ram_bytes: that the target allows, of which the sections leave the rest to the stack.
    """

    path: Path
    core: Core
    sections: Mapping[str, int]
    functions: tuple[Symbol, ...] = field(repr=False)
    objects: tuple[Symbol, ...] = field(repr=False)
    ram_bytes: int

    @property
    def flash(self) -> int:
        """Bytes of code, constants and initial values."""
        return sum(self.sections[name] for name in FLASH_SECTIONS)

    @property
    def static_ram(self) -> int:
        """Bytes of variables and the arena: the RAM without the stack."""
        return sum(self.sections[name] for name in RAM_SECTIONS)

    def function(self, name: str) -> Symbol:
        """The function of that name."""
        return next(symbol for symbol in self.functions if symbol.name == name)

    @property
    def symbol_bytes(self) -> dict[str, int]:
        """Of each function, constant and variable outside the harness, in ascending order of their addresses."""
        _, flash_origin, _ = self.core.origins
        kept = (symbol for symbol in (*self.functions, *self.objects) if symbol.address >= flash_origin)
        return {symbol.name: symbol.size for symbol in kept if symbol.size}


def build(sources: Sequence[Path], core: Core, budget: Budget, folder: Path, optimise: str = "-O2") -> Firmware:
    """Compile a model's C files with the harness and link them in `folder`.

    Args:
        sources: one header, whose stem is the model's name, and the `.c` files beside it.
        optimise: GCC's level for the model.

    Raises:
        OverBudgetError: code or variables don't fit; names the region and the overflow in bytes.
        ModelError: the model does not compile.
    """
    header = model_header(sources)
    flash, ram = _lengths(core, budget)
    objects = [
        *(_compile(file, core, HARNESS_FLAGS, folder, header, "harness_") for file in sorted(HARNESS.glob("*.c"))
          if file.stem != "count"),
        *(_compile(file, core, (optimise, *MODEL_FLAGS), folder, header) for file in sources if file.suffix == ".c"),
    ]  # fmt: skip
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
    image = folder / f"{header.stem}.elf"
    script = ("-nostartfiles", "-Wl,--gc-sections", f"-Wl,-T,{HARNESS / 'link.ld'}")
    defined = [f"-Wl,--defsym={name}={value:#x}" for name, value in symbols.items()]
    command = [COMPILER, "-mthumb", *core.flags, *script, *defined, *map(str, objects), "-o", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise _link_error(done.stderr, header.stem, core, {"FLASH": flash, "RAM": ram})
    return _firmware(image, core, ram)


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


def _compile(file: Path, core: Core, flags: Sequence[str], folder: Path, header: Path, prefix: str = "") -> Path:
    """One object file; those of the harness carry a prefix by which link.ld knows them."""
    name = header.stem
    model = {
        "MODEL_HEADER": f'"{header.name}"',
        "MODEL_ARENA_BYTES": f"{name.upper()}_ARENA_BYTES",
        "MODEL_INPUT": f"{name}_input",
        "MODEL_OUTPUT": f"{name}_output",
        "MODEL_INVOKE": f"{name}_invoke",
    }
    defined = [f"-D{macro}={value}" for macro, value in model.items()] if prefix else []
    to = folder / f"{prefix}{file.stem}.o"
    command = [COMPILER, "-mthumb", *core.flags, *WARNINGS, *flags, *defined, f"-I{header.parent}"]
    done = subprocess.run([*command, "-c", str(file), "-o", str(to)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error:" in line]
        raise ModelError(f"{file.name} does not compile for {core.title}: {(errors or [done.stderr.strip()])[0]}")
    return to


def _link_error(said: str, name: str, core: Core, lengths: Mapping[str, int]) -> OverBudgetError | ModelError:
    """What the linker's complaint means: regions that overflow, or anything else."""
    overflows = re.findall(r"region `(FLASH|RAM)' overflowed by (\d+) bytes", said)
    if not overflows:
        lines = [line for line in said.splitlines() if line.strip()]
        wrong = [line for line in lines if "undefined reference" in line or "multiple definition" in line]
        return ModelError(f"{name} does not link for {core.title}: {(wrong or lines)[0].strip()}")
    sections = {
        region: section for section, region in re.findall(r"section `(\S+)' will not fit in region `(\w+)'", said)
    }
    misses = [
        f"{region} ({sections.get(region, '.text')}) overflows by {int(by):,} of {lengths[region]:,} B"
        for region, by in overflows
    ]
    return OverBudgetError(
        f"{name} does not fit {core.title}: {'; '.join(misses)}",
        'a smaller student, prune.until = "limits", or a higher limit: --set limits.NAME=...',
    )


def _firmware(image: Path, core: Core, ram: int) -> Firmware:
    """An image, measured by the tools that come with the compiler."""
    prefix = COMPILER.removesuffix("gcc")
    sizes = dict(re.findall(r"^(\.\w+)\s+(\d+)", run_tool(f"{prefix}size", "-A", image), re.MULTILINE))
    sections = {name: int(sizes.get(name, 0)) for name in dict.fromkeys((*FLASH_SECTIONS, *RAM_SECTIONS))}
    listing = run_tool(f"{prefix}nm", "--numeric-sort", "--print-size", "--defined-only", image)
    symbols = re.findall(r"^(\w+) (?:(\w+) )?([a-zA-Z]) (\S+)$", listing, re.MULTILINE)

    def of_kinds(kinds: str) -> tuple[Symbol, ...]:
        # Names of one address are aliases: the last stands for all.
        by_address = {
            int(address, 16): Symbol(name, int(address, 16), int(size or "0", 16))
            for address, size, kind, name in symbols
            if kind in kinds
        }
        return tuple(by_address.values())

    return Firmware(image, core, sections, of_kinds("tTW"), of_kinds("rRdDbB"), ram)
