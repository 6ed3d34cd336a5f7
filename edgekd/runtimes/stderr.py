"""Captures for the runners the lines that runtimes in C++ write to file descriptor 2."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Suppress the INFO lines that LiteRT writes to descriptor 2; it has no setting in Python that disables them.

    All other lines are written to stderr when the block ends.
    """
    lines: list[str] = []
    try:
        with captured_stderr() as lines:
            yield
    finally:
        for line in lines:
            if not line.startswith("INFO:"):
                print(line, file=sys.stderr)


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Capture all that is written to descriptor 2; the list has the lines after the end of the block."""
    lines: list[str] = []
    sys.stderr.flush()
    descriptor = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(descriptor, 2)
            os.close(descriptor)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()
