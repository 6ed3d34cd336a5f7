"""Runs for the tests the command line in a process of its own, as a user does, on a build that is small enough."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import edgekd

ROOT = Path(edgekd.__file__).parent.parent
PATIENCE = 300  # the time limit in seconds, which only a process that hangs reaches
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
    """Return the environment of a user's shell, without the variables of torchrun."""
    process_variables = ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK")
    variables = {name: value for name, value in os.environ.items() if name not in process_variables}
    return {**variables, "PYTHONPATH": str(ROOT), **more}


def start(folder: Path, *arguments: str, launcher: tuple[str, ...] = (), **more: str) -> subprocess.Popen[str]:
    """Start `edgekd ...` in the folder, in its own process group."""
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "edgekd", *arguments],
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_restore_interrupt_handler,
    )


def run(folder: Path, *arguments: str, launcher: tuple[str, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
    """Run `edgekd ...` in the folder, and return its outputs and exit code."""
    process = start(folder, *arguments, launcher=launcher, **more)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(process: subprocess.Popen[str], is_ready: Callable[[], bool]) -> bool:
    """Wait until `is_ready`; False if the process ends first."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready():
            return True
        time.sleep(0.002)
    return False


def kill(process: subprocess.Popen[str], with_signal: signal.Signals = signal.SIGKILL) -> str:
    """End a process and all that it started, and return its stderr."""
    if process.poll() is None:
        os.killpg(process.pid, with_signal)
    return process.communicate(timeout=PATIENCE)[1]


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of a build's models, keyed by name."""
    return {name: (folder / "build" / "rpi4" / name).read_bytes() for name in MODELS}


def _restore_interrupt_handler() -> None:
    """Handle SIGINT again: a shell that starts pytest in the background makes its children ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
