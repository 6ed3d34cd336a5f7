"""`edgekd report`: it prints the report of a finished build again, or the schema of its JSON."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import Debug, OutFolder, TargetName, required_target


def report(
    target: TargetName = None,
    out: OutFolder = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of report.json instead.")] = False,
    debug: Debug = False,
) -> None:
    """Print the report of a finished build.

    Its pages are rendered again from report.json.
    """
    from edgekd.report import pages

    if schema:
        from edgekd import results

        print(json.dumps(results.schema(), indent=1))
        return
    folder = out or Path("build") / Path(required_target(target, "report")).stem
    print(pages.summary(pages.render(folder), folder), end="")
