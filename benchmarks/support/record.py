"""Rows of CSVs under results/, with date, command and machine, for all scripts of claims."""

import csv
import datetime
import platform
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.support.paths import RESULTS

LIBRARIES = ("torch", "onnx", "onnxruntime", "ai-edge-litert", "numpy")


def append(name: str, row: Mapping[str, Any], *, keep: bool = True) -> None:
    """Print `row`, and if `keep` append it to results/`name`.csv.

    The columns are those of the file's first row.
    """
    print(f"{name}.csv: " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if not keep:
        return
    texts = {key: _without_folders(value) if isinstance(value, str) else value for key, value in row.items()}
    columns = {"date": datetime.date.today().isoformat(), **texts, "command": _command(), **_machine()}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(columns), lineterminator="\n")
        if new:
            writer.writeheader()
        else:
            with path.open(encoding="utf-8") as old:
                header = next(csv.reader(old))
            if header != list(columns):
                sys.exit(f"{path} has other columns: {header}")
        writer.writerow(columns)


def _command() -> str:
    """Return the command that was typed, without this machine's folders."""
    script = f"benchmarks.claims.{Path(sys.argv[0]).stem}"
    return " ".join(["python", "-m", script, *map(_without_folders, sys.argv[1:])])


def _without_folders(word: str) -> str:
    return re.sub(r"[\w.~-]*/(?:[\w.-]+/)*(?=[\w.])", "", word)


def _machine() -> dict[str, str]:
    model = "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = f"{len(names)} x {names[0]}" if names else model
    libraries = " ".join(f"{name}={version(name)}" for name in LIBRARIES)
    return {"machine": model, "versions": f"python={platform.python_version()} {libraries}"}
