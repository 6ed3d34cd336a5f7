"""A new user's first half hour: clone into an empty directory, `make demo`, `make test`.

python -m benchmarks.claims.first_run

Writes results/first_run.csv. Installing is timed apart from the build: `make demo` prints both.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support.paths import REPOSITORY
from benchmarks.support.record import append

PRINTED = {"install_s": r"installing took (\d+) s", "build_s": r"building took (\d+) s"}


def time_command(command: list[str], folder: Path) -> tuple[float, str]:
    """Run a command that must succeed, without a virtual environment; return the seconds and its output."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment["PATH"] = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if ".venv" not in p)
    start = time.perf_counter()
    process = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if process.returncode:
        sys.exit(f"{process.stdout[-4000:]}\n{' '.join(command)} exited with {process.returncode}")
    return time.perf_counter() - start, process.stdout


def main() -> None:
    """Clone, build and test, and record a row."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "edgekd"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        _, demo = time_command(["make", "demo"], clone)
        print(demo)
        test_s, tests = time_command(["make", "test"], clone)
        print(tests[-2000:])
        times = {name: int(match.group(1)) for name, regex in PRINTED.items() if (match := re.search(regex, demo))}
        passed = re.search(r"(\d+) passed", tests)
        assert passed, "pytest counted no passed test"
        append("first_run", {**times, "make_test_s": round(test_s), "tests_passed": int(passed.group(1))})


if __name__ == "__main__":
    main()
