"""The row type of the table, and helpers that many rows share."""

from dataclasses import dataclass

from support.faults import TINY, Fault, file, nothing

BUILD, CHECK = "build --target rpi4", "check --target rpi4"


@dataclass(frozen=True)
class Bad:
    """One row of the table.

    Attributes:
        typed: what is typed after `edgekd`.
        says: text that the error line contains.
        code: the exit code of the command.
        prepare: changes the folder of a finished build before the command runs.
    """

    title: str
    typed: str
    says: str
    code: int
    prepare: Fault = nothing


def bad(title: str, typed: str, says: str, code: int = 1, prepare: Fault = nothing) -> Bad:
    return Bad(title, typed, says, code, prepare)


def config(text: str) -> Fault:
    return file("edgekd.toml", text)


def student(text: str) -> Fault:
    """Return a fault that gives the config TINY a user-defined student."""
    return config(TINY.replace('student = { model = "mlp", hidden = [16] }', f"student = {{ {text} }}"))
