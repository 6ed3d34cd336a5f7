"""The C functions that a model needs: kernels with a model's shapes as constants, and the arithmetic that they call.

The texts are C files in `kernels/`. Names in capitals are constants, which differ from layer to layer: a kernel is
written once for each set of them, and layers that agree in all share it. A second file of a kernel for other cores
belongs beside the first one, behind the macro of their compilers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

KERNELS = Path(__file__).parent / "kernels"
ARITHMETIC = ("arithmetic", "tflm", "xnnpack")
"""Files of many small functions; the second and third have the same names, one for each rounding."""

Constant = int | float | np.floating


@dataclass(frozen=True)
class Kernel:
    """A function that is asked for.

    Attributes:
        name: of its file.
        constants: for the words in capitals.
        words: what to put in place of other words of its text: the name of a function that it calls, a type.
    """

    name: str
    constants: Mapping[str, Constant]
    words: Mapping[str, str] = field(default_factory=dict)


WORD = re.compile(r"\b[A-Za-z_]\w*\b")


class Functions:
    """The functions of one file.

    Args:
        rounding: the kernels whose rounding they follow, "tflm" or "xnnpack".
    """

    def __init__(self, rounding: str) -> None:
        self.library = blocks("arithmetic") | blocks(rounding)
        self._names: dict[tuple[str, str], str] = {}
        self._texts: list[str] = []

    def instance(self, kernel: Kernel) -> str:
        """The name of a kernel's function for these constants, which is written if it is not there yet."""
        text = _with_constants(template(kernel.name), kernel.constants)
        for word, replacement in kernel.words.items():
            text = re.sub(rf"\b{word}\b", replacement, text)
        if (kernel.name, text) not in self._names:
            name = f"{kernel.name}_{sum(other == kernel.name for other, _ in self._names)}"
            self._names[kernel.name, text] = name
            self._texts.append(re.sub(rf"\b{kernel.name}(?=\()", name, text))
        return self._names[kernel.name, text]

    def texts(self, *declarations: str) -> Iterator[str]:
        """The parts of the file: the arithmetic that functions and declarations use, and the functions themselves."""
        used = set[str]()
        waiting = {word for text in (*self._texts, *declarations) for word in WORD.findall(text)}
        while waiting := (waiting & self.library.keys()) - used:
            used |= waiting
            waiting = {word for name in waiting for word in WORD.findall(self.library[name])}
        yield from (text for name, text in self.library.items() if name in used)
        yield from self._texts


@cache
def template(kernel: str) -> str:
    """The text of a kernel."""
    return (KERNELS / f"{kernel}.c").read_text(encoding="utf-8").strip()


@cache
def blocks(name: str) -> dict[str, str]:
    """Function or type -> its text, with the comment before it, of a file of many."""
    texts = template(name).split("\n\n")
    return {_defines(text): text for text in texts}


def _defines(text: str) -> str:
    if match := re.search(r"^} (\w+);$", text, re.MULTILINE):
        return match[1]
    match = re.search(r"^static \w+ (\w+)\(", text, re.MULTILINE)
    assert match is not None
    return match[1]


def _with_constants(text: str, constants: Mapping[str, Constant]) -> str:
    """The constants as the function's first lines."""
    used = set(WORD.findall(text))
    whole = [f"{name} = {value}" for name, value in constants.items() if isinstance(value, int) and name in used]
    reals = {name: value for name, value in constants.items() if not isinstance(value, int) and name in used}
    lines = ["    enum {", *(f"        {line}" for line in in_lines(whole)), "    };"] if whole else []
    lines += [f"    const float {name} = {literal(value)};" for name, value in reals.items()]
    head, brace, body = text.partition("\n{\n")
    return "".join([head, brace, *(f"{line}\n" for line in lines), body])


def in_lines(words: Sequence[str], width: int = 108) -> list[str]:
    """Words, separated by commas, in lines."""
    lines = [""]
    for i, word in enumerate(words):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}{',' if i < len(words) - 1 else ''}"
    return lines


def literal(value: float | np.floating) -> str:
    """A float32 as C99 has it, exact."""
    return f"{float(np.float32(value)).hex()}f"
