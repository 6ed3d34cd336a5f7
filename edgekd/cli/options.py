"""The options that several commands share, and the error for a missing target."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd.errors import ConfigError

TargetName = Annotated[str | None, typer.Option("--target", metavar="NAME", help="A target's name, or its TOML file.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings; edgekd.toml by default.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting; may be repeated.")
]
OutFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="For the files; build/<target> by default.")
]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Of finished work; .edgekd by default.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def required_target(target: str | None, command: str) -> str:
    """Return the target, or raise a ConfigError with the command to type if it is missing."""
    if target is None:
        from edgekd.config.targets import names

        raise ConfigError(f"--target is missing; edgekd has {', '.join(names())}", f"edgekd {command} --target rpi4")
    return target
