"""Runs a file of another converter in a process of its own, so that a crash of the runtime ends only this process.

Run as `python -m edgekd.runtimes.child OPENS FILE FOLDER`, where OPENS is the "module:callable" of a runtime's row. It
prints the description of the file's inputs and outputs as one line of JSON. If FOLDER has a file inputs.npz, with an
array for each input by its position, it runs the file on them and writes outputs.npz. `edgekd.runtimes.isolated`
starts it.
"""

import argparse
import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.catalog.runtimes import open_file
from edgekd.errors import EdgekdError
from edgekd.runtimes.tensors import TensorInfo


def limit(memory_bytes: int, seconds: int) -> None:
    """Limit the address space and the processor time of this process, and disable core dumps."""
    limits = ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0))
    for kind, soft in limits:
        _, hard = resource.getrlimit(kind)
        allowed = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(kind, (allowed, hard))


def execute(opens: str, path: Path, folder: Path) -> dict[str, Any]:
    """Open a file and run it on the inputs in the folder, if any; return its description as a JSON object."""
    runner = open_file(opens, path)
    inputs = folder / "inputs.npz"
    if inputs.is_file():
        with np.load(inputs, allow_pickle=False) as arrays:
            outputs = runner.run_all(*(arrays[str(place)] for place in range(len(arrays.files))))
        np.savez(folder / "outputs.npz", **{str(place): values for place, values in enumerate(outputs)})
    return {
        "inputs": [_as_json(info) for info in runner.inputs],
        "outputs": [_as_json(info) for info in runner.outputs],
        "kernels": runner.kernels,
    }


def _as_json(info: TensorInfo) -> dict[str, Any]:
    return {**vars(info), "dtype": info.dtype.str}


def main() -> int:
    """Parse the command line, run the file and print its description; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("opens")
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--memory", type=int, required=True, help="bytes of address space")
    parser.add_argument("--seconds", type=int, required=True, help="of processor time")
    arguments = parser.parse_args()
    limit(arguments.memory, arguments.seconds)
    try:
        print(json.dumps(execute(arguments.opens, arguments.file, arguments.folder)))
    except EdgekdError as error:
        print(error.what, file=sys.stderr)
        return error.exit_code
    except (RuntimeError, ValueError, MemoryError, OSError) as error:  # runtimes raise these
        print(str(error) or type(error).__name__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
