"""`edgekd diff`: it runs two files on the same inputs and says whether they are identical."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import Debug


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A file that a runtime here runs.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one of the same network.")],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Drawn inputs to run them on.")] = 64,
    debug: Debug = False,
) -> None:
    """Run two files on the same inputs and say whether they are identical.

    Exits 5 if they are not, with the layer at which they part.
    """
    from edgekd.pipeline.diff import diff as run_both
    from edgekd.pipeline.diff import judge

    comparison = run_both(a, b, samples)
    for row in comparison.rows:
        print(f"{row.differing:>9,} of {row.outputs:,} outputs differ: {row.what}, {row.against}")
    for note in comparison.notes:
        print(f"note: {note}")
    judge(comparison)
