"""The tables of the READMEs match the CSVs, and the configs of the benchmarks are valid."""

import ast
import csv
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.support import record
from edgekd.config.resolve import configure

ROOT = Path(__file__).parent.parent


def test_the_tables_are_up_to_date_with_their_csvs() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.boards", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("rows", sorted((ROOT / "benchmarks" / "results").glob("*.csv")), ids=lambda path: path.stem)
def test_no_row_names_a_folder_of_the_machine_that_made_it(rows: Path) -> None:
    assert re.findall(r"[^\w.)%]/\w+/", rows.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("config", sorted((ROOT / "benchmarks" / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_a_benchmarks_config_is_right_and_short(config: Path, tmp_path: Path) -> None:
    assert configure("rpi4", config, {"data.root": str(tmp_path)}).data.name != "digits"
    assert len(config.read_text().splitlines()) < 20


CLAIMS = sorted(path.stem for path in (ROOT / "benchmarks" / "claims").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claims_script_answers_help_in_place_of_running(
    claim: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scripts must not run here, because some take hours and all write a row."""
    script = importlib.import_module(f"benchmarks.claims.{claim}")
    monkeypatch.setattr(sys, "argv", [f"{claim}.py", "--help"])
    with pytest.raises(SystemExit) as exit_info:
        script.main()
    assert exit_info.value.code == 0
    assert f"python -m benchmarks.claims.{claim}" in capsys.readouterr().out


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claims_script_adds_to_the_csv_of_its_own_name(claim: str) -> None:
    tree = ast.parse((ROOT / "benchmarks" / "claims" / f"{claim}.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "append"]
    assert {name.value for name in names if isinstance(name, ast.Constant)} == {claim}


def test_a_row_names_the_command_that_made_it_without_the_folders_of_its_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["/home/someone/edgekd/benchmarks/claims/drift.py", "--root", "/data/MNIST"])
    record.append("drift", {"seed": 0})
    [row] = csv.DictReader((tmp_path / "drift.csv").read_text().splitlines())
    assert row["command"] == "python -m benchmarks.claims.drift --root MNIST"
