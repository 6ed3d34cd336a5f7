"""Collect the arrays of constants of a C file and store equal arrays once."""

from collections.abc import Iterator, Sequence

import numpy as np

from edgekd.formats.c.functions import literal, wrap_words
from edgekd.graph.structure import Array

NAMES = {"int8_t": "codes", "int32_t": "table", "float": "reals", "channel_t": "channels", "tap_t": "taps"}
"""The prefix of an array's name for each C type."""


class Constants:
    """The arrays of constants of one C file.

    Attributes:
        bytes: total size of the arrays, in bytes.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._declarations: dict[tuple[str, bytes], tuple[str, str]] = {}  # type, bytes -> name, C text

    def array(self, c_type: str, values: Array) -> str:
        """Add an array of numbers unless it is there and return its name."""
        dtype = np.dtype({"int8_t": np.int8, "int32_t": np.int32, "float": np.float32}[c_type])
        flat = np.ascontiguousarray(values, dtype).ravel()
        words = [literal(value) for value in flat] if c_type == "float" else [*map(str, flat.tolist())]
        return self._declare(c_type, flat, words)

    def structures(self, c_type: str, rows: Array, words: Sequence[str]) -> str:
        """Add an array of structures unless it is there and return its name.

        Args:
            rows: (structures, fields) of 4 bytes each.
            words: C initialiser of each structure.
        """
        return self._declare(c_type, rows, words)

    def texts(self) -> Iterator[str]:
        """Yield the declarations."""
        yield from (text for _, text in self._declarations.values())

    def _declare(self, c_type: str, values: Array, words: Sequence[str]) -> str:
        key = c_type, values.tobytes()
        if key not in self._declarations:
            name = f"{NAMES[c_type]}_{len(self._declarations)}"
            body = "\n".join(f"    {line}" for line in wrap_words(words))
            self._declarations[key] = name, f"static const {c_type} {name}[{len(words)}] = {{\n{body}\n}};"
            self.bytes += values.nbytes
        return self._declarations[key][0]
