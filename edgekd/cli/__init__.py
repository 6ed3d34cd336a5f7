"""The command line: one file a command, and `main`, which runs what was typed."""

from edgekd.cli.app import main

__all__ = ["main"]
