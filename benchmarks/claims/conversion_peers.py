"""The same trained students through edgekd and its peers, side by side: what each makes of them, at its best settings.

python -m benchmarks.claims.conversion_peers --quick
python -m benchmarks.claims.conversion_peers --cifar10 DIR --speech mfcc10_f16.npz
    --student resnet20=resnet20-12fca82f.th

The peers want an environment of their own: pip install -c benchmarks/peers/constraints.txt -e '.[peers,tensorflow]'

Each tool gets the same float weights, the same calibration samples and, in "qat", the same epochs, learning rate, loss
and order of samples. Each runs in a fresh process; then all files of a student are timed in fresh processes that take
turns, and the lowest median of each is compared. A student is trained once and kept under --work, and so are a tool's
files: the same command goes on where it was, and --again TOOL converts anew. --student takes a trained one
instead, from a folder with blueprint.json or a checkpoint; its data is that of the recipe of its name
(peers/students.py). A row that can't run
says why. Writes results/conversion_peers.csv and .svg; --quick trains small students of the digits in a minute, and
records nothing.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.plot import draw
from benchmarks.peers.tools import TOOLS, Tool
from benchmarks.support.paths import REPOSITORY
from benchmarks.support.record import append
from edgekd.devices.latency import Latency

CONVERSION_SECONDS = 4 * 3600
ROUNDS, ROUND_SECONDS = 7, 0.4
COLUMNS = (
    "accuracy", "accuracy_float", "same_class_share", "identical_share", "max_steps", "samples", "size_bytes",
    "convert_s", "train_s", "peak_mb",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One tool on one student, whose files are in `folder`."""

    student: str
    folder: Path
    name: str
    mode: str
    format: str

    @property
    def tool(self) -> Tool:
        return TOOLS[self.name]

    @property
    def out(self) -> Path:
        return self.folder / f"{self.name}-{self.mode}-{self.format}"


def runs(student: str, folder: Path, only: list[str]) -> Iterator[Run]:
    """Yield the runs of a student, edgekd's first."""
    for name, tool in TOOLS.items():
        for mode, kind in tool.runs:
            if not only or name in only:
                yield Run(student, folder, name, mode, kind)


def convert(run: Run, settings: dict[str, Any], again: bool) -> dict[str, Any]:
    """Return the results of the run's process, or {"note": reason of a failure}; a finished run is not repeated."""
    answer_file, settings_file, log = run.out / "answer.json", run.out / "settings.json", run.out / "log"
    weights = (run.folder / "model" / "weights.pt").read_bytes()
    key = json.dumps({**settings, "student": hashlib.sha256(weights).hexdigest()})
    if not again and answer_file.exists() and settings_file.exists() and settings_file.read_text() == key:
        return dict(json.loads(answer_file.read_text()))
    run.out.mkdir(parents=True, exist_ok=True)
    answer_file.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "benchmarks.peers.worker", run.name, run.mode, run.format,
        "--student", str(run.folder), "--out", str(run.out),
        "--quantize", json.dumps(settings["quantize"]), "--augment", json.dumps(settings["augment"]),
    ]  # fmt: skip
    print(f"{run.student}: {run.name}, {run.mode}, {run.format}", flush=True)
    with log.open("wb") as stream:
        try:
            process = subprocess.run(
                command, stdout=stream, stderr=subprocess.STDOUT, timeout=CONVERSION_SECONDS,
                cwd=REPOSITORY, env=os.environ | run.tool.environment,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"note": f"did not finish within {CONVERSION_SECONDS} s"}
    if process.returncode != 0:
        return {"note": reason(log.read_text(encoding="utf-8", errors="replace"), run.tool)}
    settings_file.write_text(key)
    return dict(json.loads(answer_file.read_text()))


def reason(log: str, tool: Tool) -> str:
    """Return the reason of a failure in one line: the last error in the log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if last.startswith("ModuleNotFoundError"):
        return f"did not run: pip install 'edgekd[{tool.extra}]' ({last})"
    errors = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))]
    return f"did not run: {(errors or [last])[-1][:300]}"


def time_files(files: list[Path]) -> dict[Path, Latency]:
    """Time each file in ROUNDS fresh processes, which take turns in random order."""
    shuffle, medians = random.Random(0).shuffle, {file: list[float]() for file in files}
    for _ in range(ROUNDS):
        order = list(files)
        shuffle(order)
        for file in order:
            command = [sys.executable, "-m", "benchmarks.peers.stopwatch", str(file), str(ROUND_SECONDS)]
            process = subprocess.run(command, check=True, text=True, capture_output=True, cwd=REPOSITORY)
            medians[file].append(float(process.stdout))
    return {file: Latency(file, "one thread", tuple(rounds)) for file, rounds in medians.items()}


def compare(
    student: str, folder: Path, settings: dict[str, Any], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the rows of one student."""
    answers = {
        run: convert(run, settings, run.name in arguments.again) for run in runs(student, folder, arguments.tools)
    }
    latencies = time_files([Path(answer["file"]) for answer in answers.values() if "file" in answer])
    edgekd_latency = {
        run.format: latencies[Path(answer["file"])]
        for run, answer in answers.items()
        if run.name == "edgekd" and run.mode == "qat" and "file" in answer
    }
    rows = []
    for run, answer in answers.items():
        times: dict[str, float] = {}
        if "file" in answer:
            latency = latencies[Path(answer["file"])]
            times |= {"latency_us": round(latency.lowest_us, 1), "latency_spread_us": round(latency.spread_us, 1)}
            if run.format in edgekd_latency:
                times["latency_ratio"] = round(latency.lowest_us / edgekd_latency[run.format].lowest_us, 3)
        rows.append(
            {
                "model": student,
                "tool": run.name,
                "mode": run.mode,
                "format": run.format,
                **{name: answer.get(name, "") for name in COLUMNS},
                **{name: times.get(name, "") for name in ("latency_us", "latency_spread_us", "latency_ratio")},
                "note": answer["note"],
                "tool_versions": " ".join(f"{name}={number}" for name, number in answer.get("versions", {}).items()),
            }
        )
    return rows


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small students on the digits; nothing is recorded")
    parser.add_argument("--cifar10", type=Path, metavar="DIR", help="CIFAR-10, binary batches")
    parser.add_argument("--speech", type=Path, metavar="FILE", help=".npz of MFCCs: x, y, speaker, classes")
    parser.add_argument(
        "--student", action="append", default=[], metavar="NAME=PATH", help="a trained one, or a checkpoint"
    )
    parser.add_argument("--students", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument("--tools", nargs="+", default=[], choices=TOOLS, metavar="TOOL", help=f"of {', '.join(TOOLS)}")
    parser.add_argument("--again", nargs="+", default=[], choices=TOOLS, metavar="TOOL", help="convert anew")
    parser.add_argument("--work", type=Path, default=Path("build/conversion_peers"), help="what is kept")
    parser.add_argument("--epochs", type=int, help="of quantisation-aware training")
    return parser


def main() -> None:
    """Prepare the students, then compare one by one, so that each row is recorded as soon as possible."""
    arguments = parser().parse_args()
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.students", json.dumps(students_request(arguments))],
        cwd=REPOSITORY, check=True, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    for student, settings in json.loads(process.stdout.splitlines()[-1]).items():
        settings["quantize"] |= {"baseline": False} | ({"epochs": arguments.epochs} if arguments.epochs else {})
        for row in compare(student, arguments.work.resolve() / student, settings, arguments):
            if arguments.quick:
                print(", ".join(f"{key} {value}" for key, value in row.items() if value != ""), flush=True)
            else:
                append("conversion_peers", row)
    if not arguments.quick:
        draw()


def students_request(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the request to peers.students, which loads torch and the data in its own process.

    A process starts with its parent's peak memory, so a large one here would hide that of a small tool.
    """
    roots = {"cifar10": arguments.cifar10, "speech": arguments.speech}
    students = dict(pair.split("=", 1) for pair in arguments.student)
    return {
        "quick": arguments.quick,
        "work": str(arguments.work.resolve()),
        "roots": {name: str(root.resolve()) for name, root in roots.items() if root},
        "students": {name: str(Path(folder).resolve()) for name, folder in students.items()},
        "only": arguments.students,
    }


if __name__ == "__main__":
    main()
