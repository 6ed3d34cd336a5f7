"""A stranger's first half hour: clone into an empty directory, `make demo`, `make test`.

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


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """(seconds, what it printed) of a command that must succeed, with no virtual environment active."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment["PATH"] = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if ".venv" not in p)
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}\n{' '.join(command)} exited with {done.returncode}")
    return time.perf_counter() - started, done.stdout


def main() -> None:
    """Clone, build, test, and keep a row."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "edgekd"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        _, demo = timed(["make", "demo"], clone)
        print(demo)
        test_s, tests = timed(["make", "test"], clone)
        print(tests[-2000:])
        found = {name: int(match.group(1)) for name, regex in PRINTED.items() if (match := re.search(regex, demo))}
        passed = re.search(r"(\d+) passed", tests)
        assert passed, "pytest counted no passed test"
        append("first_run", {**found, "make_test_s": round(test_s), "tests_passed": int(passed.group(1))})


if __name__ == "__main__":
    main()
