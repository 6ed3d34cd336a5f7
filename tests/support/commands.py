"""The command line in processes of its own, as a user runs it, and a build that is small enough for that."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import edgekd

ROOT = Path(edgekd.__file__).parent.parent
PATIENCE = 300  # seconds; nothing takes as long, unless it hangs
BUILD = ("build", "--target", "rpi4")
MODELS = ("model.tflite", "model.onnx", "model_float.tflite", "model_float.onnx", "student.pt")
CACHED = ("data", "teacher", "answers", "distill", "prune", "quantize", "export", "verify")

TINY = """\
profile = { rounds = 1, seconds = 0.02 }
limits.score_drop = 100
teacher = { model = "mlp", hidden = [32], epochs = 60, learning_rate = 0.02 }
student = { model = "resnet8", width = 8 }
distill = { epochs = 2, baseline = false }
prune = { steps = 2, epochs = 1 }
quantize = { epochs = 2 }
data.limit = 100
"""


def environment(**more: str) -> dict[str, str]:
    """As a user's shell has it, whatever the tester's says about processes."""
    told = ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK")
    kept = {name: value for name, value in os.environ.items() if name not in told}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def start(folder: Path, *arguments: str, launcher: tuple[str, ...] = (), **more: str) -> subprocess.Popen[str]:
    """`edgekd ...` in the folder, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "edgekd", *arguments],
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_ctrl_c,
    )


def run(folder: Path, *arguments: str, launcher: tuple[str, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
    """The same, and what it said when it was done."""
    process = start(folder, *arguments, launcher=launcher, **more)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(process: subprocess.Popen[str], seen: Callable[[], bool]) -> bool:
    """Whether something was seen before the process ended."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if seen():
            return True
        time.sleep(0.002)
    return False


def kill(process: subprocess.Popen[str], with_signal: signal.Signals = signal.SIGKILL) -> str:
    """End a process and all that it started; what it had said on stderr comes back."""
    if process.poll() is None:
        os.killpg(process.pid, with_signal)
    return process.communicate(timeout=PATIENCE)[1]


def files(folder: Path) -> dict[str, bytes]:
    """The models of a build, by name."""
    return {name: (folder / "build" / "rpi4" / name).read_bytes() for name in MODELS}


def _heed_ctrl_c() -> None:
    """A shell that starts pytest in the background tells its children to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
