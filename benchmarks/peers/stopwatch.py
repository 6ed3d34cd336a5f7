"""Times one file in a fresh process, and prints the median inference in us.

python -m benchmarks.peers.stopwatch FILE SECONDS
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers.files import End, open_file

WARM_UP_SECONDS = 0.05
FEWEST_RUNS = 5


def times_us(infer: Callable[[], object], seconds: float) -> list[float]:
    """Return the time of each inference, in microseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < FEWEST_RUNS or time.perf_counter() < end:
        start = time.perf_counter_ns()
        infer()
        times.append((time.perf_counter_ns() - start) / 1e3)
    return times


def sample(end: End) -> np.ndarray:
    """Return random codes over the whole range, or normally distributed real values."""
    random, shape = np.random.default_rng(0), (1, *end.shape)
    if end.dtype.kind == "f":
        return random.standard_normal(shape).astype(end.dtype)
    limits = np.iinfo(end.dtype)
    return random.integers(limits.min, limits.max, shape, dtype=end.dtype, endpoint=True)


def main() -> None:
    """Load the file, warm up, and print the median time."""
    file, seconds = open_file(Path(sys.argv[1])), float(sys.argv[2])
    infer = file.ready(sample(file.input))
    times_us(infer, WARM_UP_SECONDS)
    print(statistics.median(times_us(infer, seconds)))


if __name__ == "__main__":
    main()
