"""Make the C functions of a model: kernels with its shapes as constants, and the arithmetic that they call.

The texts are C files in `kernels/`. Names in capitals are constants that differ from layer to layer: a kernel is
written once for each set of values, and layers with equal values share it. A kernel's file for other cores belongs
beside the first one, behind the macro of their compilers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

KERNELS = Path(__file__).parent / "kernels"
ARITHMETIC = ("arithmetic", "tflm", "xnnpack")
"""The files of small functions; the last two define the same names, each for one rounding."""

Constant = int | float | np.floating


@dataclass(frozen=True)
class Kernel:
    """A kernel and the values that make a function of it.

    Attributes:
        name: name of the kernel's file.
        constants: values of the names in capitals.
        words: replacements of other words of the text, such as a type or the name of a function that it calls.
    """

    name: str
    constants: Mapping[str, Constant]
    words: Mapping[str, str] = field(default_factory=dict)


WORD = re.compile(r"\b[A-Za-z_]\w*\b")


class Functions:
    """The functions of one C file.

    Args:
        rounding: "tflm" or "xnnpack", the kernels whose rounding the functions follow.
    """

    def __init__(self, rounding: str) -> None:
        self.library = blocks("arithmetic") | blocks(rounding)
        self._names: dict[tuple[str, str], str] = {}
        self._texts: list[str] = []

    def instance(self, kernel: Kernel) -> str:
        """Add a kernel's function for its constants unless it is there and return its name."""
        text = _insert_constants(template(kernel.name), kernel.constants)
        for word, replacement in kernel.words.items():
            text = re.sub(rf"\b{word}\b", replacement, text)
        if (kernel.name, text) not in self._names:
            name = f"{kernel.name}_{sum(other == kernel.name for other, _ in self._names)}"
            self._names[kernel.name, text] = name
            self._texts.append(re.sub(rf"\b{kernel.name}(?=\()", name, text))
        return self._names[kernel.name, text]

    def texts(self, *declarations: str) -> Iterator[str]:
        """Yield the arithmetic that the functions and `declarations` use, then the functions."""
        used = set[str]()
        pending = {word for text in (*self._texts, *declarations) for word in WORD.findall(text)}
        while pending := (pending & self.library.keys()) - used:
            used |= pending
            pending = {word for name in pending for word in WORD.findall(self.library[name])}
        yield from (text for name, text in self.library.items() if name in used)
        yield from self._texts


@cache
def template(kernel: str) -> str:
    """Return the text of a kernel's file."""
    return (KERNELS / f"{kernel}.c").read_text(encoding="utf-8").strip()


@cache
def blocks(name: str) -> dict[str, str]:
    """Return the text of each function or type of a file, with the comment before it, by its name."""
    texts = template(name).split("\n\n")
    return {_defined_name(text): text for text in texts}


def _defined_name(text: str) -> str:
    if match := re.search(r"^} (\w+);$", text, re.MULTILINE):
        return match[1]
    match = re.search(r"^static \w+ (\w+)\(", text, re.MULTILINE)
    assert match is not None
    return match[1]


def _insert_constants(text: str, constants: Mapping[str, Constant]) -> str:
    """Return a function's text with the constants that it uses as its first lines."""
    used = set(WORD.findall(text))
    integers = [f"{name} = {value}" for name, value in constants.items() if isinstance(value, int) and name in used]
    floats = {name: value for name, value in constants.items() if not isinstance(value, int) and name in used}
    lines = ["    enum {", *(f"        {line}" for line in wrap_words(integers)), "    };"] if integers else []
    lines += [f"    const float {name} = {literal(value)};" for name, value in floats.items()]
    head, brace, body = text.partition("\n{\n")
    return "".join([head, brace, *(f"{line}\n" for line in lines), body])


def wrap_words(words: Sequence[str], width: int = 108) -> list[str]:
    """Return the words, separated by commas, in lines of about `width` characters."""
    lines = [""]
    for i, word in enumerate(words):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{word}{',' if i < len(words) - 1 else ''}"
    return lines


def literal(value: float | np.floating) -> str:
    """Return the exact hexadecimal C99 literal of a float32."""
    return f"{float(np.float32(value)).hex()}f"
