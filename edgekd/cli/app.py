"""The table of commands, each of which is in the file of its name, and the entry point of `edgekd`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from edgekd import __version__
from edgekd.cli.build import build
from edgekd.cli.check import check
from edgekd.cli.convert import convert
from edgekd.cli.diff import diff
from edgekd.cli.doctor import doctor
from edgekd.cli.exits import CommandGroup, say, with_exit_code
from edgekd.cli.explain import explain
from edgekd.cli.init import init
from edgekd.cli.report import report
from edgekd.cli.targets import targets
from edgekd.cli.tune import tune
from edgekd.cli.verify import verify
from edgekd.errors import ConfigError

COMMANDS = (build, check, explain, verify, tune, convert, diff, report, targets, doctor, init)

app = typer.Typer(
    name="edgekd",
    help="Turn a trained network into one that fits a small device, and prove that it still works there.",
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(with_exit_code(command))


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Turn a trained network into one that fits a small device, and prove that it still works there."""
    if version:
        print(f"edgekd {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(ConfigError.exit_code)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; the entry point of the script `edgekd`.

    Args:
        arguments: the words after `edgekd`; by default those of this process.
    """
    app(arguments, prog_name="edgekd")
