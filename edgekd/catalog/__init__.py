"""The names that a config can use: entries of each kind with their options, and the tables of formats and runtimes."""

from edgekd.catalog.entries import (
    CRITERIA,
    DATASETS,
    KINDS,
    LOSSES,
    MODELS,
    SCHEMES,
    TASKS,
    TEACHERS,
    entry,
    load,
    source_of,
)

__all__ = [
    "CRITERIA", "DATASETS", "KINDS", "LOSSES", "MODELS", "SCHEMES", "TASKS", "TEACHERS", "entry", "load",
    "source_of",
]  # fmt: skip
