"""Training steps of a small network with one thread and with all, alone and beside other work.

python -m benchmarks.claims.small_batches

A step of the digits teacher (ResNet-20 on 8 x 8, batch 64), beside no and beside as many busy processes as there are
cores. "passive" lets OpenMP's threads sleep while they wait (OMP_WAIT_POLICY). Fresh processes take turns. Writes
results/small_batches.csv.
"""

import argparse
import os
import statistics
import subprocess
import sys

from benchmarks.support.record import append

ROUNDS, STEPS = 3, 15
CORES = os.cpu_count() or 1
STEP = f"""
import sys, time, torch
from edgekd import catalog
torch.set_num_threads(int(sys.argv[1]))
model = catalog.load("model", "resnet20")(classes=10, input_shape=(1, 8, 8))
x, seconds = torch.randn(64, 1, 8, 8), []
for _ in range({STEPS} + 3):
    started = time.perf_counter()
    model(x).sum().backward()
    seconds.append(time.perf_counter() - started)
print(sum(seconds[3:]) / {STEPS})
"""
WAYS: dict[str, tuple[int, dict[str, str]]] = {
    "one_thread_ms": (1, {}),
    "all_threads_ms": (CORES, {}),
    "all_threads_passive_ms": (CORES, {"OMP_WAIT_POLICY": "PASSIVE"}),
}


def step_ms(threads: int, policy: dict[str, str], busy: int) -> float:
    """Return the mean step in a fresh process, in ms; the mean includes the threads' waiting."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | policy
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    command = [sys.executable, "-c", STEP, str(threads)]
    try:
        process = subprocess.run(command, env=environment, check=True, text=True, capture_output=True)
    finally:
        for other in others:
            other.kill()
    return float(process.stdout) * 1000


def main() -> None:
    """Time interleaved rounds, alone and beside busy processes, and record a row for each."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for busy in (0, CORES):
        rounds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, (threads, policy) in WAYS.items():
                rounds[way].append(step_ms(threads, policy, busy))
        row = {way: round(statistics.median(times), 1) for way, times in rounds.items()}
        append("small_batches", {"busy_processes": busy, **row})


if __name__ == "__main__":
    main()
