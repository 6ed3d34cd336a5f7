"""The command line's last resort: whatever happens in a command, it ends with one line, a remedy and its exit code."""

import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from edgekd.errors import ConfigError, EdgekdError

MISTYPED: Any = typer.BadParameter.__bases__[0]  # click's UsageError, wherever this version of typer keeps click


class CommandGroup(TyperGroup):
    """The commands; a mistyped one is answered as every other error is."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run what was typed, and leave with its exit code."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except MISTYPED as error:
            what = error.format_message().rstrip(".")
            command = error.ctx.command_path if error.ctx else "edgekd"
            say(f"error: {ConfigError(what[:1].lower() + what[1:], f'{command} --help')}")
            code = ConfigError.exit_code
        sys.exit(code or 0)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """End a command with one line and the right exit code, whatever happens in it."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            say("interrupted; the same command goes on from here")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough; Python's own flush at exit must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(128 + 13) from None
        except Exception as error:
            _fail(error, debug=bool(kwargs.get("debug")))

    return run


def _fail(error: Exception, *, debug: bool) -> NoReturn:
    """Say what happened, in one line and a remedy, and exit with its code."""
    if debug:
        traceback.print_exception(error)
    known = _known(error)
    # Under torchrun every process meets the same config error: one says it.
    if not (isinstance(error, ConfigError) and not is_main()):
        say(f"error: {known or f'{type(error).__name__}: {error}'.splitlines()[0]}")
        if known is None and not debug:
            say("  this is a bug in edgekd: rerun with --debug")
    raise typer.Exit(known.exit_code if known else 1) from None


def _known(error: Exception) -> EdgekdError | None:
    """The error that a user can act on, if it is one."""
    if isinstance(error, EdgekdError):
        return error
    if isinstance(error, FileNotFoundError) and error.filename is None:  # os.getcwd's
        return EdgekdError("the working folder is no longer there", "cd to a folder that is")
    if isinstance(error, OSError) and error.errno is not None and error.errno != errno.EPIPE:
        from edgekd.disk import refused

        where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else Path()
        named = f"{where}: {error.strerror}" if error.filename else str(error.strerror)
        return refused(error, where) or EdgekdError(named, "see to that file, then the same command goes on from here")
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
        return EdgekdError(
            "this machine ran out of memory", "smaller batches: --set teacher.batch_size=32 --set distill.batch_size=32"
        )
    return None


def is_main() -> bool:
    """Whether this is the process that speaks; alone it always is."""
    from edgekd.pipeline.ranks import torchrun_processes

    return torchrun_processes().main


def say(line: str) -> None:
    """A line to stderr."""
    print(line, file=sys.stderr, flush=True)
