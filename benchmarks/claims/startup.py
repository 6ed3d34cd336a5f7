"""How long `edgekd --help` takes, in fresh processes: python -m benchmarks.claims.startup

Each round takes the median of some processes, and the round with the lowest median counts: what else the machine does
can only make a round slower. Writes results/startup.csv; its lowest and highest are of all processes.
"""

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks.support.record import append

ROUNDS, PROCESSES = 5, 7


def help_seconds() -> float:
    """Return the time of one process from its start to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "edgekd", "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Warm up, time the rounds, and record a row."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    help_seconds()
    rounds = [[help_seconds() for _ in range(PROCESSES)] for _ in range(ROUNDS)]
    append(
        "startup",
        {
            "what": "edgekd --help",
            "rounds": f"{ROUNDS} x {PROCESSES}",
            "median_s": round(min(map(statistics.median, rounds)), 3),
            "lowest_s": round(min(map(min, rounds)), 3),
            "highest_s": round(max(map(max, rounds)), 3),
        },
    )


if __name__ == "__main__":
    main()
