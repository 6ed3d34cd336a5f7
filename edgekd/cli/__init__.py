"""The command line: one file for each command, and `main`, which runs the command that was typed."""

from edgekd.cli.app import main

__all__ = ["main"]
