"""The environment of the Python processes that edgekd starts."""

import os
from pathlib import Path

import edgekd.errors


def child_environment() -> dict[str, str]:
    """This process's, with edgekd on the path: a child started with `-P` looks for no module in the working folder."""
    path = (str(Path(edgekd.errors.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
