"""Error handling of the command line: an error becomes one line with a remedy, and an exit code."""

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

# click's UsageError; the module that holds it depends on typer's version.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]


class CommandGroup(TyperGroup):
    """The group of commands, with errors of usage in the form of all others."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command and exit with its code."""
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except USAGE_ERROR as error:
            what = error.format_message().rstrip(".")
            command = error.ctx.command_path if error.ctx else "edgekd"
            say(f"error: {ConfigError(what[:1].lower() + what[1:], f'{command} --help')}")
            code = ConfigError.exit_code
        sys.exit(code or 0)


def with_exit_code(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that every exception becomes one line of error and an exit code."""

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
            # The reader of the output has closed it; Python's own flush at exit must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(128 + 13) from None
        except Exception as error:
            _fail(error, debug=bool(kwargs.get("debug")))

    return run


def _fail(error: Exception, *, debug: bool) -> NoReturn:
    """Print the error in one line with a remedy, and exit with its code."""
    if debug:
        traceback.print_exception(error)
    user_error = _user_error(error)
    # Under torchrun every process raises the same config error: only the main one prints it.
    if not (isinstance(error, ConfigError) and not is_main()):
        say(f"error: {user_error or f'{type(error).__name__}: {error}'.splitlines()[0]}")
        if user_error is None and not debug:
            say("  this is a bug in edgekd: rerun with --debug")
    raise typer.Exit(user_error.exit_code if user_error else 1) from None


def _user_error(error: Exception) -> EdgekdError | None:
    """Convert an exception to an error that the user can act on; None for a bug."""
    if isinstance(error, EdgekdError):
        return error
    if isinstance(error, FileNotFoundError) and error.filename is None:  # raised by os.getcwd
        return EdgekdError("the working folder is no longer there", "cd to a folder that is")
    if isinstance(error, OSError) and error.errno is not None and error.errno != errno.EPIPE:
        from edgekd.disk import write_error

        path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else Path()
        message = f"{path}: {error.strerror}" if error.filename else str(error.strerror)
        return write_error(error, path) or EdgekdError(
            message, "see to that file, then the same command goes on from here"
        )
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
        return EdgekdError(
            "this machine ran out of memory", "smaller batches: --set teacher.batch_size=32 --set distill.batch_size=32"
        )
    return None


def is_main() -> bool:
    """Whether this is the main process, the only one that prints."""
    from edgekd.pipeline.ranks import torchrun_processes

    return torchrun_processes().main


def say(line: str) -> None:
    """Print a line to stderr."""
    print(line, file=sys.stderr, flush=True)
