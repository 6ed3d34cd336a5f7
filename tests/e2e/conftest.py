"""The fixture of one finished build, shared by the tests that only read or copy it."""

from pathlib import Path

import pytest
from support import commands


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an uninterrupted build; its output is in the files `stdout` and `stderr`."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "edgekd.toml").write_text(commands.TINY)
    process = commands.run(folder, *commands.BUILD)
    assert process.returncode == 0, process.stderr
    (folder / "stdout").write_text(process.stdout)
    (folder / "stderr").write_text(process.stderr)
    return folder
