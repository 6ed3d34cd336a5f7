"""Reads for the emulators a 32-bit little-endian ELF image: sections, symbols and segments to load."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM, SYMBOLS = 1, 2  # PT_LOAD and SHT_SYMTAB of the System V ABI
FUNCTION, OBJECT = 2, 1  # STT_FUNC and STT_OBJECT


@dataclass(frozen=True)
class Symbol:
    """A function or object of an image."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Image:
    """An ELF file.

    Attributes:
        sections: the size of each section in bytes, keyed by name.
        functions, objects: the symbols in ascending order of their addresses, one for each address.
        labels: the address of every symbol, keyed by name, including the symbols of the linker script.
        loads: the contents of the flash, as (physical address, bytes) of each segment.
    """

    sections: dict[str, int]
    functions: tuple[Symbol, ...]
    objects: tuple[Symbol, ...]
    labels: dict[str, int] = field(repr=False)
    loads: tuple[tuple[int, bytes], ...] = field(repr=False)


def read(path: Path) -> Image:
    """Read an image from its file."""
    data = path.read_bytes()
    program_at, section_at = struct.unpack_from("<2I", data, 28)
    programs, _, sections, names = struct.unpack_from("<4H", data, 44)
    headers = [struct.unpack_from("<10I", data, section_at + 40 * index) for index in range(sections)]
    titles = headers[names][4]
    symbols = _symbols(data, headers)
    segments = [struct.unpack_from("<8I", data, program_at + 32 * index) for index in range(programs)]
    return Image(
        sections={_text(data, titles + header[0]): header[5] for header in headers},
        functions=_of_kind(symbols, FUNCTION),
        objects=_of_kind(symbols, OBJECT),
        labels={symbol.name: symbol.address for _, symbol in symbols},
        loads=tuple(
            (physical, data[offset : offset + size])
            for kind, offset, _, physical, size, *_ in segments
            if kind == PROGRAM and size
        ),
    )


def _symbols(data: bytes, headers: list[tuple[int, ...]]) -> list[tuple[int, Symbol]]:
    """Return (type, symbol) of each entry of the symbol table, without bit 0 of Thumb addresses."""
    symbols = []
    for _, kind, _, _, offset, size, link, *_ in headers:
        if kind != SYMBOLS:
            continue
        for at in range(offset, offset + size, 16):
            name, value, length, info, _, section = struct.unpack_from("<3I2BH", data, at)
            if section:
                type_ = info & 0xF
                address = value & ~1 if type_ == FUNCTION else value
                symbols.append((type_, Symbol(_text(data, headers[link][4] + name), address, length)))
    return symbols


def _of_kind(symbols: list[tuple[int, Symbol]], kind: int) -> tuple[Symbol, ...]:
    """Return the symbols of a type, sorted by address; of several names of one address the last is taken."""
    by_address = {symbol.address: symbol for type_, symbol in symbols if type_ == kind}
    return tuple(by_address[address] for address in sorted(by_address))


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(0, at)].decode("utf-8", "replace")
