"""`edgekd convert`: it writes an int8 file of another converter in other formats."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.options import Debug

if TYPE_CHECKING:
    from edgekd.pipeline.convert import Conversion


def convert(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An int8 .tflite file.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="For the files.")],
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="NAME", help="May be repeated; by default all but C that have its operators."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the files; the model's by default.")] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Drawn inputs to compare the files on.")] = 32,
    debug: Debug = False,
) -> None:
    """Read an int8 file that others made, and write it again.

    Exits 5 if a file does not compute what the source does.
    """
    from edgekd.pipeline.convert import convert as write_again
    from edgekd.pipeline.convert import judge

    result = write_again(model, out, format_, name, samples)
    for line in lines(result):
        print(line)
    judge(result)


def lines(result: "Conversion") -> Iterator[str]:
    """Yield the printed lines: the network, the files, the comparisons and the notes."""
    kinds = Counter(row.operator.partition(" + ")[0] for row in result.operators)
    listed = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in kinds.items())
    rows = {
        "operators": f"{len(result.operators)} ({listed})",
        "parameters": f"{result.parameters:,}",
        "MACs": f"{result.macs:,}",
        "arena": f"{result.peak_ram_bytes:,} B of activations, by the memory plan",
    }
    for title, text in rows.items():
        yield f"{title:11} {text}"
    yield f"{'source':11} {result.source}, {result.source.stat().st_size:,} B"
    for kind, paths in result.files.items():
        for path in paths:
            yield f"{kind:11} {path}, {path.stat().st_size:,} B"
    for row in result.parity:
        steps = f", by up to {row.largest_steps} steps" if row.differing else ""
        rounding = "" if row.exact else " (another rounding)"
        parts = f", from {row.parts} on" if row.parts else ""
        counts = f"{row.differing:,} of {row.outputs:,} outputs differ{steps}{rounding}"
        yield f"{'parity':11} {counts}: {row.what}, {row.against}{parts}"
    for note in result.notes:
        yield f"{'note':11} {note}"
