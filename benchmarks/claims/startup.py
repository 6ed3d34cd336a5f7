"""How long `edgekd --help` takes, in fresh processes: python -m benchmarks.claims.startup

Writes results/startup.csv.
"""

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks.support.record import append

ROUNDS = 15


def main() -> None:
    """One warm-up, then the median and the spread."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    seconds = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "edgekd", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    measured = sorted(seconds[1:])
    append(
        "startup",
        {
            "what": "edgekd --help",
            "rounds": ROUNDS,
            "median_s": round(statistics.median(measured), 3),
            "lowest_s": round(measured[0], 3),
            "highest_s": round(measured[-1], 3),
        },
    )


if __name__ == "__main__":
    main()
