"""Runs for `convert` and `diff` a file of another converter in a process of its own, with limits on time and memory.

A runtime may abort its process on a damaged file. The caller then gets a ModelError, as for other unreadable files.
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
    """The limits of the process: bytes of address space, and seconds of processor time and of wall time."""

    memory_bytes: int = 8 * 2**30
    seconds: int = 600


class IsolatedRunner:
    """A file that a runtime runs in a new process for each call.

    Attributes:
        inputs, outputs: the descriptions of the file's inputs and outputs, as other runners have them.
        kernels: the name of the kernel set; other kernel sets round differently.
    """

    def __init__(self, runtime: Runtime, path: Path, limits: Limits | None = None) -> None:
        check_file(path)
        self._runtime, self._path, self._limits = runtime, Path(path), limits or Limits()
        with tempfile.TemporaryDirectory() as folder:
            description = self._start(Path(folder))
        self.inputs, self.outputs = (tuple(map(_info, description[role])) for role in ("inputs", "outputs"))
        self.kernels: str = description["kernels"]

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run the file on (N, ...) of every input, in its dtype and order; return (N, ...) of every output.

        Raises:
            ModelError: the runtime cannot run the file, exceeds its limits, or ends by a signal.
            MissingExtraError: the runtime needs a package that is not installed.
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
        subject = f"{self._runtime.title} on {self._path.name}"
        try:
            process = subprocess.run(
                (*child, *limits),
                env=child_environment(),
                capture_output=True,
                timeout=self._limits.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{subject} took longer than {self._limits.seconds} s", REMEDY) from error
        if process.returncode < 0:
            raise ModelError(f"{subject} ended by {signal.Signals(-process.returncode).name}", REMEDY)
        if process.returncode:
            lines = process.stderr.decode(errors="replace").strip().splitlines()
            what = f"{subject}: {lines[-1] if lines else f'status {process.returncode}'}"
            if process.returncode == MissingExtraError.exit_code:
                raise MissingExtraError(what, "edgekd doctor")
            raise ModelError(what, REMEDY)
        description: dict[str, Any] = json.loads(process.stdout.decode().strip().splitlines()[-1])
        return description


def _info(fields: dict[str, Any]) -> TensorInfo:
    axes = fields["axes"]
    shape, dtype = tuple(fields["shape"]), np.dtype(fields["dtype"])
    return TensorInfo(
        fields["name"], shape, dtype, fields["scale"], fields["zero_point"], None if axes is None else tuple(axes)
    )
