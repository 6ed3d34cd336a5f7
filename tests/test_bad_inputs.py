"""Each bad input is answered by one line of error and a remedy, with its exit code, and nothing is lost."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_inputs import BUILD, MISTYPED, TABLE, Bad
from support import faults
from support.commands import PATIENCE

import edgekd
from edgekd import cli

ROOT = Path(edgekd.__file__).parent.parent


def run(typed: str) -> int:
    with pytest.raises(SystemExit) as exit_info:
        cli.main(shlex.split(typed))
    return int(exit_info.value.code or 0)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with edgekd.toml, store and files of a finished build."""
    place = tmp_path_factory.mktemp("finished")
    before = Path.cwd()
    os.chdir(place)
    try:
        Path("edgekd.toml").write_text(faults.TINY)
        assert run(BUILD) == 0
    finally:
        os.chdir(before)
    return place


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copy the finished build into the working folder, and unload modules of that folder after the test."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in ("full", "frozen"):
        faults.unmount(name)
    sys.modules.pop("mine", None)
    if sys.modules.get("PIL", sys) is None:
        del sys.modules["PIL"]


def finished_work(place: Path) -> dict[str, str]:
    """Return what a failure must leave intact: hashes of the finished artifacts, and the names of the build's files."""
    work = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in place.glob(".edgekd/*/*/**/*")
        if path.is_file() and "work" not in path.parts
    }
    return work | {str(path): "" for path in place.glob("build/rpi4/*")}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.title.replace(" ", "-"))
def test_a_bad_input_gets_one_line_and_a_remedy(row: Bad, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    row.prepare()
    before = finished_work(here)
    capfd.readouterr()
    code = run(row.typed)
    output = capfd.readouterr().err
    assert row.says in output, output
    assert code == row.code, output
    *_, error, remedy = output.splitlines()
    assert error.startswith("error: ")
    assert re.fullmatch(r"  try: \S.*", remedy)
    assert output.count("error: ") == 1
    assert "Traceback" not in output
    assert "bug in edgekd" not in output
    after = finished_work(here)
    assert before.items() <= after.items(), before.keys() - after.keys()
    assert not Path("SPRUNG").exists(), "code from a checkpoint ran"
    assert not list(Path().glob(".edgekd/work/*.lock"))


WITHOUT_TORCH = """
import os, pathlib, shlex, sys, tempfile
import bad_inputs as table
from edgekd import cli

for row in table.MISTYPED:
    os.chdir(tempfile.mkdtemp())
    pathlib.Path("build").mkdir()
    pathlib.Path("edgekd.toml").touch()
    row.prepare()
    try:
        cli.main(shlex.split(row.typed))
    except SystemExit as left:
        assert left.code == row.code, row.title
    heavy = {"torch", "onnx", "sklearn"} & set(sys.modules)
    assert not heavy, (row.title, heavy)
    sys.path[:] = [place for place in sys.path if place != os.getcwd()]
print(len(table.MISTYPED), "rows")
"""


def test_what_is_mistyped_is_answered_without_torch(tmp_path: Path) -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_TORCH]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert process.stdout == f"{len(MISTYPED)} rows\n", process.stderr


def test_there_are_more_than_thirty() -> None:
    assert len({row.title for row in TABLE}) == len(TABLE) > 30
