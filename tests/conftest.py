"""Each test runs in its own folder, without the shell's environment variables for processes and settings."""

import os
from pathlib import Path

import pytest

# The tests' networks are small, and OpenMP's threads that wait for one another make them many times slower beside
# anything else that runs (benchmarks/claims/small_batches.py). It stands before torch is imported, and processes
# inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in an empty directory, so that it finds no edgekd.toml, store or build of another test."""
    monkeypatch.chdir(tmp_path)
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "FAKE_LOG", "FAKE_STALL", "FAKE_VERDICT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file in which the stages of `fakes` record their runs."""
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "runs.txt"))
    return tmp_path / "runs.txt"
