"""SST-2 of GLUE: sentences from film reviews, negative or positive (Socher et al., 2013; Wang et al., 2019)."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.data.sets.roots import contents, first_of, folder
from edgekd.errors import ConfigError, DataError

HOLDS = "SST-2/train.tsv and SST-2/dev.tsv, as GLUE has them"
CLASSES = ["negative", "positive"]
PADDING, UNKNOWN = "<padding>", "<unknown>"
"""The words of tokens 0 and 1."""


def sst2(root: Path | None = None, words: int = 8000, length: int = 32) -> dict[str, Any]:
    """Read tokens (N, length), the words of each sentence, padded or cut at the end; GLUE's dev part is the test part.

    Args:
        root: the folder that holds SST-2, or SST-2 itself.
        words: size of the vocabulary, the most frequent lower-case words of train.tsv; two of them stand for
            the padding and for all other words.
        length: tokens of an input.
    """
    if words < 3 or length < 1:
        raise ConfigError(f"data.words = {words}, data.length = {length} leave nothing to read", "8000 and 32")
    place = folder(root, "sst2", HOLDS)
    train, dev = (_read(first_of(place, [f"SST-2/{name}", name])) for name in ("train.tsv", "dev.tsv"))
    counts = Counter(word for sentence, _ in train for word in sentence)
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[: words - 2]
    vocabulary = [PADDING, UNKNOWN, *frequent]
    token = {word: number for number, word in enumerate(vocabulary)}
    return {
        "train": _tokens(train, token, length),
        "test": _tokens(dev, token, length),
        "classes": CLASSES,
        "vocabulary": vocabulary,
    }


def _read(path: Path) -> list[tuple[list[str], int]]:
    """Return (words, label) of every sentence; in GLUE's files spaces separate the words already."""
    try:
        lines = contents(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}", f"replace {path.name}") from error
    rows = []
    for number, line in enumerate(lines[1:], 2):
        sentence, _, label = line.rpartition("\t")
        if label.strip() not in ("0", "1"):
            raise DataError(f"{path}, line {number}: no label 0 or 1 after a tab", f"replace {path.name}")
        rows.append((sentence.lower().split(), int(label)))
    if not rows:
        raise DataError(f"{path} holds no sentences", f"replace {path.name}")
    return rows


def _tokens(rows: list[tuple[list[str], int]], token: dict[str, int], length: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.zeros((len(rows), length), np.int32)
    for row, (sentence, _) in zip(x, rows, strict=True):
        tokens = [token.get(word, 1) for word in sentence[:length]]
        row[: len(tokens)] = tokens
    return x, np.array([label for _, label in rows], np.int64)
