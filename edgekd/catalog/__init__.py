"""What a config can name: entries of each kind, the options they take, and one row for each format and runtime."""

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
