"""One `edgekd build` for a benchmark, as anyone would type it, and its report."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from edgekd.figures import Report

CONFIGS = Path(__file__).parent / "configs"
FINISHED = (0, 3, 5)
"""3: a limit is missed; 5: outputs differ. The report says so, and the row is kept."""


def built(
    config: Path | None, settings: Iterable[str], folder: Path, store: Path, target: str = "rpi4", processes: int = 1
) -> tuple[Report, int]:
    """(report, exit code); files go to `folder`, and what `store` holds is reused. Exits where there is no report.

    Args:
        settings: "key=value", as after --set.
        processes: that train together, under torchrun.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(torchrun if processes > 1 else []), "-m", "edgekd", "build"]
    command += ["--target", target, "--out", str(folder), "--store", str(store)]
    command += ["--config", str(config)] if config else []
    for setting in settings:
        command += ["--set", setting]
    code = subprocess.run(command, cwd=store.parent).returncode
    if code not in FINISHED:
        sys.exit(f"the build exited with {code}")
    return Report.model_validate_json((folder / "report.json").read_text(encoding="utf-8")), code
