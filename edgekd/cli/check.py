"""`edgekd check`: it says whether a build can succeed, before any training."""

from typing import Annotated

import typer

from edgekd.cli.options import ConfigFile, Debug, Settings, TargetName, required_target


def check(
    target: TargetName = None,
    config: ConfigFile = None,
    set_: Settings = None,
    layers: Annotated[bool, typer.Option("--layers", help="List the student's operators by name.")] = False,
    debug: Debug = False,
) -> None:
    """Say before any training whether a build can succeed."""
    from edgekd.config.resolve import configure
    from edgekd.pipeline.check import examine, judge

    forecast = examine(configure(required_target(target, "check"), config, set_ or ()))
    for finding in forecast.findings:
        print(f"{finding.verdict:5} {finding.what:10} {finding.says}")
    for operator in forecast.operators if layers else ():
        print(f"      {operator}")
    judge(forecast)
