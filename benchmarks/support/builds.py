"""One `edgekd build` for a benchmark by the command line, and its report."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from edgekd.results import Report


def run_build(
    config: Path | None, settings: Iterable[str], folder: Path, store: Path, target: str = "rpi4", processes: int = 1
) -> tuple[Report, int]:
    """Build into `folder`, and return the report and the exit code. Exits if there is no report.

    A build that misses a limit (3) or whose outputs differ (5) has a report. torchrun exits with 1 in both cases.

    Args:
        settings: arguments of --set, "key=value".
        store: the folder of finished work, which is reused.
        processes: the number of processes that train together, under torchrun.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "edgekd", "build"]
    command += ["--target", target, "--out", str(folder), "--store", str(store)]
    command += ["--config", str(config)] if config else []
    for setting in settings:
        command += ["--set", setting]
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    code = subprocess.run(command, cwd=store.parent).returncode
    if not report.is_file():
        sys.exit(f"the build exited with {code}")
    return Report.model_validate_json(report.read_text(encoding="utf-8")), code
