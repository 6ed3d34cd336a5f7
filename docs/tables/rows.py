"""Tables of the formats, the runtimes and their roundings, from the rows that the code asks."""

from collections.abc import Callable

from entries import cell

from edgekd.catalog.formats import FORMATS
from edgekd.catalog.runtimes import ROUNDINGS, RUNTIMES
from edgekd.report.markdown import table


def formats() -> str:
    """What each format writes, and what runs it."""
    rows = [(f"`{name}`", row.title, cell(row.int8_file), f"`{row.runtime}`") for name, row in FORMATS.items()]
    return table(("format", "name", "the int8 file", "timed on the host by"), rows) + "\n"


def runtimes() -> str:
    """What each runtime runs, the rounding that it is compared in, and what installs it."""
    rows = []
    for name, row in RUNTIMES.items():
        extra = f"`edgekd[{row.extra}]`" if row.extra else ""
        roundings = " or ".join(f"`{kernels}`" for kernels in row.roundings or (row.kernels,))
        rows.append((f"`{name}`", row.title, FORMATS[row.format].title, roundings, extra))
    return table(("runtime", "name", "files", "rounding", "extra"), rows) + "\n"


def roundings() -> str:
    """What distinguishes each rounding of the integer reference."""
    rows = [(f"`{name}`", row.title, cell(row.rule)) for name, row in ROUNDINGS.items()]
    return table(("rounding", "whose", "what it is"), rows) + "\n"


PARTS: dict[str, Callable[[], str]] = {"formats": formats, "runtimes": runtimes, "roundings": roundings}
