"""One row a run, appended to a CSV under results/, with the date, the command and the machine that made it."""

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
    """Say `row`, and add it to results/`name`.csv unless it is not to be kept, as that of a quick look is not.

    The columns are those of the file's first row.
    """
    print(f"{name}.csv: " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if not keep:
        return
    said = {key: _without_folders(value) if isinstance(value, str) else value for key, value in row.items()}
    whole = {"date": datetime.date.today().isoformat(), **said, "command": _command(), **_machine()}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(whole), lineterminator="\n")
        if new:
            writer.writeheader()
        else:
            with path.open(encoding="utf-8") as old:
                header = next(csv.reader(old))
            if header != list(whole):
                sys.exit(f"{path} has other columns: {header}")
        writer.writerow(whole)


def _command() -> str:
    """What was typed, without the folders of one machine."""
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
