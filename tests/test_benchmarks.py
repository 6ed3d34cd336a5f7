"""The tables of the READMEs are what the CSVs say, and the configs of the benchmarks are right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.config.resolve import configure

ROOT = Path(__file__).parent.parent


def test_the_tables_are_up_to_date_with_their_csvs() -> None:
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "board.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rows", sorted((ROOT / "benchmarks" / "results").glob("*.csv")), ids=lambda path: path.stem)
def test_no_row_names_a_folder_of_the_machine_that_made_it(rows: Path) -> None:
    assert re.findall(r"[^\w.)%]/\w+/", rows.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("config", sorted((ROOT / "benchmarks" / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_a_benchmarks_config_is_right_and_short(config: Path, tmp_path: Path) -> None:
    assert configure("rpi4", config, {"data.root": str(tmp_path)}).data.name != "digits"
    assert len(config.read_text().splitlines()) < 20


SCRIPTS = [path for path in sorted((ROOT / "benchmarks").glob("*.py")) if "__main__" in path.read_text()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_answers_help_in_place_of_running(script: Path) -> None:
    """Some take hours, and all write a row."""
    assert ".parse_args()" in script.read_text() and "description=__doc__" in script.read_text()
