"""`edgekd init`: it writes a config file to begin with."""

from typing import Annotated

import typer

from edgekd.cli.options import Debug
from edgekd.errors import ConfigError


def init(
    force: Annotated[bool, typer.Option("--force", help="Overwrite an edgekd.toml that is there.")] = False,
    debug: Debug = False,
) -> None:
    """Write an edgekd.toml that explains every setting."""
    from edgekd.config.resolve import FILE
    from edgekd.config.template import template
    from edgekd.disk import writing

    if FILE.exists() and not force:
        raise ConfigError(f"{FILE} is there already", "edgekd init --force overwrites it")
    with writing(FILE):
        FILE.write_text(template(), encoding="utf-8")
    print(f"wrote {FILE}; next: edgekd check --target rpi4")
