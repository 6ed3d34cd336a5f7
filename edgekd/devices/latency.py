"""Measures and compares for the profile stage the latency of files on this machine, in alternating processes.

One process may be a third slower than the next for no visible reason. Each file is therefore timed in several
processes, which alternate with those of the other files in an order that changes from round to round.
"""

import json
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.catalog.runtimes import host_runtime
from edgekd.errors import EdgekdError, ModelError
from edgekd.runtimes.environment import child_environment

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Latency:
    """The time of one inference of one file.

    Attributes:
        file: the path of the file.
        kernels: the runtime's name, version, kernel set and threads.
        rounds_us: the median of each round's process in microseconds, in the order of the rounds.
    """

    file: Path
    kernels: str
    rounds_us: tuple[float, ...]

    @property
    def lowest_us(self) -> float:
        """Return the lowest round, which is reported, since disturbances only add to a measurement."""
        return min(self.rounds_us)

    @property
    def spread_us(self) -> float:
        """Return the difference of the highest and the lowest round in microseconds."""
        return max(self.rounds_us) - min(self.rounds_us)


def measure(
    files: Sequence[Path],
    rounds: int,
    seconds: float,
    threads: int = 1,
    *,
    seed: int = 0,
    advance: Callable[[int, str], object] = lambda count, detail: None,
) -> list[Latency]:
    """Time each file in `rounds` fresh processes of `seconds` each.

    Args:
        files: the paths of the files.
        rounds: the number of processes for each file.
        seconds: the time of measurement in each process.
        threads: the number of threads of each runtime.
        seed: the seed of the random order within the rounds.
        advance: a function for a progress bar, called with (1, the file's name) after each process.
    """
    shuffle = random.Random(seed).shuffle
    medians: dict[Path, list[float]] = {file: [] for file in files}
    kernels: dict[Path, str] = {}
    for _ in range(rounds):
        order = list(files)
        shuffle(order)
        for file in order:
            median, kernels[file] = time_once(file, threads, seconds)
            medians[file].append(median)
            advance(1, file.name)
    return [Latency(file, kernels[file], tuple(medians[file])) for file in files]


def ratio(one: Latency, other: Latency) -> tuple[float, float]:
    """Return the (ratio, error) of one's time to the other's: the median over the rounds and the largest deviation.

    If ratio plus or minus error does not include 1, all rounds agree on which of the two is faster.
    """
    ratios = [a / b for a, b in zip(one.rounds_us, other.rounds_us, strict=True)]
    median = statistics.median(ratios)
    return median, max(abs(r - median) for r in ratios)


def time_once(file: Path, threads: int, seconds: float) -> tuple[float, str]:
    """Time a file in one fresh process; return (median of an inference in microseconds, name of the kernels)."""
    worker = (sys.executable, "-P", "-m", "edgekd.devices.worker")
    opens = host_runtime(file.suffix.removeprefix(".")).opens
    command = (*worker, str(file), opens, f"--threads={threads}", f"--seconds={seconds}")
    try:
        process = subprocess.run(
            command,
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=seconds + PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgekdError(
            f"timing {file.name} took longer than {error.timeout:.0f} s", "--set profile.threads=1, on an idle machine"
        ) from error
    if process.returncode != 0:
        error_lines = process.stderr.strip().splitlines()
        reason = error_lines[-1] if error_lines else f"the process ended with status {process.returncode}"
        raise ModelError(
            f"timing {file.name} failed: {reason}", "edgekd build, which writes the file anew and times it"
        )
    measurement = json.loads(process.stdout.strip().splitlines()[-1])
    return float(measurement["median_us"]), str(measurement["kernels"])
