"""Counts the instructions of a fully connected layer in C on every emulated Cortex-M, and checks its outputs.

python -m benchmarks.claims.emulated_cores [--core NAME]

The script builds the layer of benchmarks/support/tiny_c.py for each core, runs it on 16 samples, compares its outputs
with the reference in NumPy, and counts its instructions. It writes results/emulated_cores.csv, a row for each core.
An emulator counts instructions, not cycles, and every run gives the same count. The script uses GCC and QEMU if they
are installed, and otherwise the packages of `pip install 'edgekd[mcu]'`.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.support import tiny_c
from benchmarks.support.record import append
from edgekd.devices.cortex_m import CORES, Budget, CortexM, emulate

SAMPLES = 16


def main() -> None:
    """Parse the command line and measure each core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", choices=sorted(CORES), help="this one alone")
    arguments = parser.parse_args()
    for core in [arguments.core] if arguments.core else CORES:
        measure(core)


def measure(core: str) -> None:
    """Run the layer on one core and append its row."""
    inputs = tiny_c.samples(SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        files = tiny_c.write(Path(folder))
        run = emulate(files, core, Budget(), [inputs], [tiny_c.OUTPUTS])
    with CortexM(core, Budget()) as device:
        versions = device.describe()
    assert run.counts is not None
    append(
        "emulated_cores",
        {
            "core": versions["core"],
            "model": f"fully connected {tiny_c.INPUTS}x{tiny_c.OUTPUTS}, int8",
            "samples": SAMPLES,
            "outputs_that_differ": int((run.outputs[0] != tiny_c.answers(inputs)).sum()),
            "instructions": run.instructions,
            "instructions_per_mac": round(run.counts.total / SAMPLES / tiny_c.MACS, 3),
            "flash_bytes": run.flash_bytes,
            "ram_bytes": run.ram_bytes,
            "stack_bytes": run.stack_bytes,
            "compiler": versions["compiler"],
            "emulator": versions["emulator"],
            "counted_by": run.counts.method,
        },
    )


if __name__ == "__main__":
    main()
