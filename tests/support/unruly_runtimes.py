"""Gives the tests runtimes that end the process that opens a file, never return, or exhaust its memory."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np


def aborts(path: Path, threads: int) -> Any:
    os.abort()


def hangs(path: Path, threads: int) -> Any:
    time.sleep(3600)


def eats(path: Path, threads: int) -> Any:
    return np.ones(2**33, np.uint8)


def raises(path: Path, threads: int) -> Any:
    raise RuntimeError("no kernel for that")
