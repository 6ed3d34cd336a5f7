"""The one family of errors: what happened, what to type next, and the exit code of the command line."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be; what a remedy names."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return close[0] if close else None


class EdgekdError(Exception):
    """Something the user can act on; anything else that escapes is a bug in edgekd.

    Args:
        what: what happened, naming the layer, operator, file, target or setting.
        remedy: the command to type or the setting to change.
    """

    exit_code = 1

    def __init__(self, what: str, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy

    def __str__(self) -> str:
        return f"{self.what}\n  try: {self.remedy}" if self.remedy else self.what


class ConfigError(EdgekdError):
    """A setting, name or path that the user typed is wrong."""

    exit_code = 2


class DataError(EdgekdError):
    """A data set was found, but can't be worked with."""


class ModelError(EdgekdError):
    """A model or checkpoint was found, but can't be worked with."""


class UnsupportedOperatorError(ModelError):
    """A layer has no int8 form, or an exporter has no writer for it."""


class TrainingError(EdgekdError):
    """A training can't go on: the loss is not finite, or it ran out of memory."""


class StoreError(EdgekdError):
    """The store or the output folder can't be written or read."""


class OverBudgetError(EdgekdError):
    """A limit of the target is missed."""

    exit_code = 3


class MissingExtraError(EdgekdError):
    """An optional dependency is needed and is not installed."""

    exit_code = 4


class ParityError(EdgekdError):
    """Two boundaries that must agree do not."""

    exit_code = 5
