"""Training steps on a machine that is busy with something else, with OpenMP's threads spinning and waiting passively.

python benchmarks/busy_machine.py

A step of the digits teacher (ResNet-20 on 8 x 8, batch 64), all cores, beside as many busy processes as there are
cores. Fresh processes take turns. Writes results/busy_machine.csv.
"""

import os
import statistics
import subprocess
import sys

from record import append

ROUNDS, STEPS = 3, 15
STEP = f"""
import time, torch
from edgekd import catalog
model = catalog.load("model", "resnet20")(classes=10, input_shape=(1, 8, 8))
x, seconds = torch.randn(64, 1, 8, 8), []
for _ in range({STEPS} + 3):
    started = time.perf_counter()
    model(x).sum().backward()
    seconds.append(time.perf_counter() - started)
print(sorted(seconds[3:])[{STEPS} // 2])
"""


def step_ms(policy: str | None, busy: int) -> float:
    """The median step in a fresh process, in ms."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": policy} if policy else {}
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        done = subprocess.run([sys.executable, "-c", STEP], env=environment, check=True, text=True, capture_output=True)
    finally:
        for other in others:
            other.kill()
    return float(done.stdout) * 1000


def main() -> None:
    """Interleaved rounds, alone and beside others."""
    for busy in (0, os.cpu_count() or 1):
        rounds: dict[str, list[float]] = {"spinning": [], "passive": []}
        for _ in range(ROUNDS):
            rounds["spinning"].append(step_ms(None, busy))
            rounds["passive"].append(step_ms("PASSIVE", busy))
        row = {name: round(statistics.median(found), 1) for name, found in rounds.items()}
        append("busy_machine", {"busy_processes": busy, "spinning_ms": row["spinning"], "passive_ms": row["passive"]})


if __name__ == "__main__":
    main()
