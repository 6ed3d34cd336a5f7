"""Folders of the repository, for every script that reads or writes there."""

from pathlib import Path

BENCHMARKS = Path(__file__).parents[1]
REPOSITORY = BENCHMARKS.parent
CONFIGS = BENCHMARKS / "configs"
RESULTS = BENCHMARKS / "results"
