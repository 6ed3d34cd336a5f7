"""Times one file, inference by inference, as the process that `edgekd.devices.latency` starts.

Run as `python -m edgekd.devices.worker FILE OPENS --threads 1 --seconds 0.2`, where OPENS is the "module:callable" of a
runtime's row. It prints one line of JSON with the median. It imports neither torch nor pydantic, so that it starts
fast.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgekd.catalog.runtimes import open_file
from edgekd.errors import EdgekdError

WARM_UP_SECONDS = 0.05
FEWEST_RUNS = 5


def time_file(path: Path, opens: str, threads: int, seconds: float) -> dict[str, object]:
    """Time inferences for `seconds` after a warm-up; return their median, their number and the kernels' name."""
    runner = open_file(opens, path, threads)
    infer = runner.ready(*(_sample((1, *tensor.shape), tensor.dtype) for tensor in runner.inputs))
    _times(infer, WARM_UP_SECONDS)
    times = _times(infer, seconds)
    return {"median_us": statistics.median(times) / 1e3, "inferences": len(times), "kernels": runner.kernels}


def _times(infer: Callable[[], object], seconds: float) -> list[int]:
    """Return the time of each inference in nanoseconds."""
    times: list[int] = []
    end = time.perf_counter() + seconds
    while len(times) < FEWEST_RUNS or time.perf_counter() < end:
        start = time.perf_counter_ns()
        infer()
        times.append(time.perf_counter_ns() - start)
    return times


def _sample(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    random = np.random.default_rng(0)
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    if dtype == np.int32:  # every table of embeddings has a row 0
        return np.zeros(shape, dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def main() -> int:
    """Parse the command line, time the file and print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("opens")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.2)
    arguments = parser.parse_args()
    try:
        print(json.dumps(time_file(arguments.file, arguments.opens, arguments.threads, arguments.seconds)))
    except EdgekdError as error:
        print(error.what, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
