"""The errors for users: what happened, what to type next, and the exit code of the command line."""

import difflib
from collections.abc import Iterable


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that is most similar to `word`, for a remedy; None if none is similar."""
    matches = difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)
    return matches[0] if matches else None


class EdgekdError(Exception):
    """An error that the user can act on; any other exception is a bug in edgekd.

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
    """A data set can be read, but not used."""


class ModelError(EdgekdError):
    """A model or checkpoint can be read, but not used."""


class UnsupportedOperatorError(ModelError):
    """A layer has no int8 form, or an exporter has no writer for it."""


class TrainingError(EdgekdError):
    """A training can't continue: the loss is not finite, or memory ran out."""


class StoreError(EdgekdError):
    """The store or the output folder can't be written or read."""


class OverBudgetError(EdgekdError):
    """A limit of the target is missed."""

    exit_code = 3


class MissingExtraError(EdgekdError):
    """An optional dependency is needed and is not installed."""

    exit_code = 4


class ParityError(EdgekdError):
    """Two forms of the network differ in outputs that must be identical."""

    exit_code = 5
