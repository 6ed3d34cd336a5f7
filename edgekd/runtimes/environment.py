"""Gives the environment of the Python processes that edgekd starts."""

import os
from pathlib import Path

import edgekd.errors


def child_environment() -> dict[str, str]:
    """Return this process's environment with edgekd on PYTHONPATH.

    A child that is started with `-P` does not search the working folder for modules.
    """
    path = (str(Path(edgekd.errors.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
