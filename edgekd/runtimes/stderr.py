"""What runtimes written in C++ say on descriptor 2, held back: LiteRT announces its delegate each time."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back the INFO lines that LiteRT writes to descriptor 2; it has no setting for them in Python.

    Everything else that arrives there meanwhile is passed on when the block ends.
    """
    lines: list[str] = []
    try:
        with held_stderr() as lines:
            yield
    finally:
        for line in lines:
            if not line.startswith("INFO:"):
                print(line, file=sys.stderr)


@contextmanager
def held_stderr() -> Iterator[list[str]]:
    """Hold back all that is written to descriptor 2; the lines are in the list when the block ends."""
    lines: list[str] = []
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            held.seek(0)
            lines += held.read().decode(errors="replace").splitlines()
