"""One finished build, shared by the tests that only look at it or copy it."""

from pathlib import Path

import pytest
from support import commands


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with edgekd.toml, store and files of an uninterrupted build; what it said lies in `stdout`, `stderr`."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "edgekd.toml").write_text(commands.TINY)
    done = commands.run(folder, *commands.BUILD)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder
