"""Runs a file in a process of its own, under limits on time and memory: for files that others made.

A runtime may abort its process on a damaged file. Here that is a ModelError, as every other refusal.
"""

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.catalog.runtimes import Runtime
from edgekd.errors import MissingExtraError, ModelError
from edgekd.runtimes.environment import child_environment
from edgekd.runtimes.tensors import TensorInfo, check_file

REMEDY = "the file may be damaged, or hold what this runtime has no kernel for"


@dataclass(frozen=True)
class Limits:
    """What the process may take: address space, and seconds of processor and of wall time."""

    memory_bytes: int = 8 * 2**30
    seconds: int = 600


class IsolatedRunner:
    """A file in a runtime; each call starts a process.

    Attributes:
        inputs, outputs: what the file takes and gives, as other runners have them.
        kernels: the kernel set behind the results, in words.
    """

    def __init__(self, runtime: Runtime, path: Path, limits: Limits | None = None) -> None:
        check_file(path)
        self._runtime, self._path, self._limits = runtime, Path(path), limits or Limits()
        with tempfile.TemporaryDirectory() as folder:
            about = self._start(Path(folder))
        self.inputs, self.outputs = (tuple(map(_info, about[ends])) for ends in ("inputs", "outputs"))
        self.kernels: str = about["kernels"]

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """(N, ...) of every input in the file's dtype and order -> (N, ...) of every output.

        Raises:
            ModelError: the runtime refuses the file, takes more than its limits, or ends by a signal.
            MissingExtraError: it needs something that is not installed.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.savez(folder / "inputs.npz", **{str(place): values for place, values in enumerate(x)})  # type: ignore[arg-type]
            self._start(folder)
            with np.load(folder / "outputs.npz", allow_pickle=False) as arrays:
                return tuple(arrays[str(place)] for place in range(len(arrays.files)))

    def _start(self, folder: Path) -> dict[str, Any]:
        limits = (f"--memory={self._limits.memory_bytes}", f"--seconds={self._limits.seconds}")
        child = (sys.executable, "-P", "-m", "edgekd.runtimes.child", self._runtime.opens, str(self._path), str(folder))
        who = f"{self._runtime.title} on {self._path.name}"
        try:
            done = subprocess.run(
                (*child, *limits),
                env=child_environment(),
                capture_output=True,
                timeout=self._limits.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{who} took longer than {self._limits.seconds} s", REMEDY) from error
        if done.returncode < 0:
            raise ModelError(f"{who} ended by {signal.Signals(-done.returncode).name}", REMEDY)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            what = f"{who}: {lines[-1] if lines else f'status {done.returncode}'}"
            if done.returncode == MissingExtraError.exit_code:
                raise MissingExtraError(what, "edgekd doctor")
            raise ModelError(what, REMEDY)
        about: dict[str, Any] = json.loads(done.stdout.decode().strip().splitlines()[-1])
        return about


def _info(about: dict[str, Any]) -> TensorInfo:
    axes = about["axes"]
    shape, dtype = tuple(about["shape"]), np.dtype(about["dtype"])
    return TensorInfo(
        about["name"], shape, dtype, about["scale"], about["zero_point"], None if axes is None else tuple(axes)
    )
