"""`edgekd check`: it says whether a build can succeed, before any training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.options import ConfigFile, Debug, Settings, TargetName, required_target
from edgekd.errors import ConfigError


def check(
    target: TargetName = None,
    config: ConfigFile = None,
    set_: Settings = None,
    layers: Annotated[bool, typer.Option("--layers", help="List the student's operators by name.")] = False,
    all_targets: Annotated[bool, typer.Option("--all-targets", help="Say which targets the student fits.")] = False,
    debug: Debug = False,
) -> None:
    """Say before any training whether a build can succeed."""
    from edgekd.config.resolve import configure
    from edgekd.pipeline.check import examine, judge

    if all_targets:
        if target is not None or layers:
            raise ConfigError("--all-targets goes with neither --target nor --layers", "edgekd check --all-targets")
        _print_fits(config, set_ or ())
        return
    forecast = examine(configure(required_target(target, "check"), config, set_ or ()))
    for finding in forecast.findings:
        print(f"{finding.verdict:5} {finding.what:10} {finding.says}")
    for operator in forecast.operators if layers else ():
        print(f"      {operator}")
    judge(forecast)


def _print_fits(config: Path | None, settings: Sequence[str]) -> None:
    """Print a row for each target with its limits and the student's size and memory, and whether the student fits."""
    from edgekd.pipeline.boards import FITS, fits
    from edgekd.pipeline.check import readable_bytes

    def share(reached: int, allowed: int | None) -> str:
        return "no limit" if allowed is None else f"{readable_bytes(reached)} of {readable_bytes(allowed)}"

    rows = fits(config, settings)
    widest = dict.fromkeys(f"activations are largest at {row.student.peak_operator}" for row in rows)
    print(f"{'target':20} {'size':20} {'flash':20} {'peak RAM':20} fits")
    for row in rows:
        limits, student = row.limits, row.student
        cells = (
            share(student.size_bytes, limits.size_bytes),
            share(student.size_bytes, limits.flash_bytes),
            share(student.peak_ram_bytes, limits.peak_ram_bytes),
        )
        misses = f": {', '.join(row.misses)}" if row.misses else ""
        print(f"{row.target:20} {' '.join(f'{cell:20}' for cell in cells)} {FITS[row.verdict]}{misses}")
    print("the student in int8, before pruning; " + "; ".join(widest))
