"""The arrays of constants of a C file: equal ones stand once."""

from collections.abc import Iterator, Sequence

import numpy as np

from edgekd.formats.c.functions import in_lines, literal
from edgekd.graph.structure import Array

NAMES = {"int8_t": "codes", "int32_t": "table", "float": "reals", "channel_t": "channels", "tap_t": "taps"}
"""Type -> what an array of it is called."""


class Constants:
    """Collects arrays.

    Attributes:
        bytes: of all of them together.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._declarations: dict[tuple[str, bytes], tuple[str, str]] = {}  # type, bytes -> name, C text

    def array(self, c_type: str, values: Array) -> str:
        """The name of an array of numbers."""
        dtype = np.dtype({"int8_t": np.int8, "int32_t": np.int32, "float": np.float32}[c_type])
        flat = np.ascontiguousarray(values, dtype).ravel()
        words = [literal(value) for value in flat] if c_type == "float" else [*map(str, flat.tolist())]
        return self._declared(c_type, flat, words)

    def structures(self, c_type: str, rows: Array, words: Sequence[str]) -> str:
        """The name of an array of structures: a row of 4-byte fields for each, and its text."""
        return self._declared(c_type, rows, words)

    def texts(self) -> Iterator[str]:
        """The declarations."""
        yield from (text for _, text in self._declarations.values())

    def _declared(self, c_type: str, values: Array, words: Sequence[str]) -> str:
        key = c_type, values.tobytes()
        if key not in self._declarations:
            name = f"{NAMES[c_type]}_{len(self._declarations)}"
            body = "\n".join(f"    {line}" for line in in_lines(words))
            self._declarations[key] = name, f"static const {c_type} {name}[{len(words)}] = {{\n{body}\n}};"
            self.bytes += values.nbytes
        return self._declarations[key][0]
