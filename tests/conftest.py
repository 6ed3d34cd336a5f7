"""Each test runs in a folder of its own, without what the tester's shell says about processes and settings."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test: empty, so that no edgekd.toml, store or build of another one is seen."""
    monkeypatch.chdir(tmp_path)
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "FAKE_LOG", "FAKE_STALL", "FAKE_VERDICT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
