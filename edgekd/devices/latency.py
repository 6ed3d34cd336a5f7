"""Latency on this machine, of files that are compared: fresh processes that take turns.

One process may be a third slower than the next for no reason one can see, so no process is believed alone: each file is
timed in several, which alternate with those of the other files in an order that changes from round to round.
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
        kernels: the runtime's name, version, kernel set and threads.
        rounds_us: the median of each round's process, in the order of the rounds.
    """

    file: Path
    kernels: str
    rounds_us: tuple[float, ...]

    @property
    def lowest_us(self) -> float:
        """The figure to report: what disturbs a measurement only adds to it."""
        return min(self.rounds_us)

    @property
    def spread_us(self) -> float:
        """From the lowest to the highest round."""
        return max(self.rounds_us) - min(self.rounds_us)


def measure(
    files: Sequence[Path],
    rounds: int,
    seconds: float,
    threads: int = 1,
    *,
    seed: int = 0,
    advance: Callable[[int, str], object] = lambda done, detail: None,
) -> list[Latency]:
    """Time each file in `rounds` fresh processes of `seconds` each.

    Args:
        seed: of the order within the rounds.
        advance: is called with (1, the file's name) after each process, for a progress bar.
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
    """(ratio, error) of one's time to the other's: the median over the rounds, and a round's largest distance from it.

    Where value and error leave out 1, every round said faster, or every round said slower.
    """
    each = [a / b for a, b in zip(one.rounds_us, other.rounds_us, strict=True)]
    middle = statistics.median(each)
    return middle, max(abs(r - middle) for r in each)


def time_once(file: Path, threads: int, seconds: float) -> tuple[float, str]:
    """(median of one inference in microseconds, kernels), from one fresh process."""
    worker = (sys.executable, "-P", "-m", "edgekd.devices.worker")
    opens = host_runtime(file.suffix.removeprefix(".")).opens
    command = (*worker, str(file), opens, f"--threads={threads}", f"--seconds={seconds}")
    try:
        done = subprocess.run(
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
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        reason = said[-1] if said else f"the process ended with status {done.returncode}"
        raise ModelError(
            f"timing {file.name} failed: {reason}", "edgekd build, which writes the file anew and times it"
        )
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return float(answer["median_us"]), str(answer["kernels"])
