"""A row of the table, and what many rows have in common."""

from dataclasses import dataclass

from support.faults import TINY, Fault, file, nothing

BUILD, CHECK = "build --target rpi4", "check --target rpi4"


@dataclass(frozen=True)
class Bad:
    """One row.

    Attributes:
        typed: after `edgekd`.
        says: in the line of the error; `code` is the command's.
        given: what is done to the folder of a finished build before.
    """

    title: str
    typed: str
    says: str
    code: int
    given: Fault = nothing


def bad(title: str, typed: str, says: str, code: int = 1, given: Fault = nothing) -> Bad:
    return Bad(title, typed, says, code, given)


def config(text: str) -> Fault:
    return file("edgekd.toml", text)


def student(text: str) -> Fault:
    """TINY with a student of the user's own."""
    return config(TINY.replace('student = { model = "mlp", hidden = [16] }', f"student = {{ {text} }}"))
