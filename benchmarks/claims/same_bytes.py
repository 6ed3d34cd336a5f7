"""Whether a change of the code leaves the shipped files as they were, byte for byte, in builds of four networks.

python -m benchmarks.claims.same_bytes --before REV [--networks NAME ...] [--seeds 0 1 2] [--quick]

Each build is made twice in fresh processes and from an empty store: by the code of REV, checked out into a temporary
worktree, and by that of the working tree. Both are asked through the command line alone, so any commit that has these
settings will do; nothing of edgekd is imported here. `digits` is the README's demo, `edgekd build --target rpi4`. The
others are post-training quantised after trainings of one epoch, on small data sets that are drawn from a seed: their
files are of no use but for being compared. A missed limit (exit code 3) is none of this script's business.

Writes results/same_bytes.csv, a row a file, and exits with 1 where one differs. --quick takes the first seed, and
records nothing.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.support import commits
from benchmarks.support.paths import REPOSITORY
from benchmarks.support.record import append

FILES = ("model.tflite", "model.onnx")
EXIT_CODES = (0, 3)
"""The exit codes of a build that wrote its files: 0 within the limits of its target, 3 outside."""

DATA_MODULE = '''"""Data sets of noise, with something of its class in each sample."""

import numpy as np

TRAIN, TEST = 256, 64


def images():
    """8-bit images (N, 3, 32, 32) of four classes, each of another brightness."""
    return parts(4, lambda chance, y: chance.integers(0, 160, (len(y), 3, 32, 32)) + 24 * y[:, None, None, None], "u1")


def frames():
    """Frames (N, 49, 10) of four classes, each of another loudness."""
    return parts(4, lambda chance, y: chance.normal(size=(len(y), 49, 10)) * (1 + y[:, None, None]), "f4")


def tokens():
    """Tokens (N, 16) of two classes, each with half of the vocabulary to itself."""
    answer = parts(2, lambda chance, y: chance.integers(0, 50, (len(y), 16)) + 50 * y[:, None], "i4")
    return {**answer, "vocabulary": [f"word{number}" for number in range(100)]}


def parts(classes, draw, kind):
    chance = np.random.default_rng(0)
    labels = {"train": np.arange(TRAIN) % classes, "test": np.arange(TEST) % classes}
    drawn = {part: (draw(chance, y).astype(kind), y) for part, y in labels.items()}
    return {**drawn, "classes": [str(number) for number in range(classes)]}
'''
SHORT = (
    "quantize.method=ptq", "quantize.calibration=64", "teacher.epochs=1", "distill.epochs=1", "distill.baseline=false",
    "prune.epochs=1", "prune.steps=1",
)  # fmt: skip
NETWORKS: dict[str, tuple[str, ...]] = {
    "digits": (),
    "mobilenetv2": (
        *SHORT, "data.name=same_bytes_data:images", "teacher.model=resnet8", "teacher.width=8",
        "student.model=mobilenetv2", "student.width=0.35",
    ),
    "gru_keyword": (
        *SHORT, "data.name=same_bytes_data:frames", "teacher.model=gru_keyword", "teacher.hidden=16",
        "student.model=gru_keyword", "student.hidden=16", "prune.criterion=none",
    ),
    "text_encoder": (
        *SHORT, "data.name=same_bytes_data:tokens", "teacher.model=text_encoder", "teacher.layers=1",
        "student.model=text_encoder", "student.layers=2", "prune.criterion=none",
    ),
}  # fmt: skip
"""The settings of each network, as arguments of --set."""


def build(code: Path, network: str, seed: int, folder: Path) -> dict[str, str]:
    """Build a network with the code in a folder; return the SHA-256 of each file. Exits if the build failed.

    Args:
        folder: a new folder for the data sets' module, the store and the files.
    """
    folder.mkdir()
    (folder / "same_bytes_data.py").write_text(DATA_MODULE, encoding="utf-8")
    command = [sys.executable, "-m", "edgekd", "build", "--target", "rpi4", "--out", "out", "--store", "store"]
    for setting in (f"seed={seed}", *NETWORKS[network]):
        command += ["--set", setting]
    environment = os.environ | {"PYTHONPATH": str(code)}
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    if process.returncode not in EXIT_CODES:
        text = (folder / "log").read_text(encoding="utf-8", errors="replace")
        sys.exit(f"{text[-4000:]}\n{network}, seed {seed}, by {code}: the build exited with {process.returncode}")
    return {name: hashlib.sha256((folder / "out" / name).read_bytes()).hexdigest() for name in FILES}


def main() -> None:
    """Build each network with each seed by both commits, and record a row for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="REV", help="the commit to compare the working tree with")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="the first seed alone; nothing is recorded")
    arguments = parser.parse_args()
    names = {"before": commits.short_name(arguments.before), "after": commits.name_of_working_tree()}
    differing = 0
    with commits.checkout(arguments.before) as tree, tempfile.TemporaryDirectory() as scratch:
        code = {"before": tree, "after": REPOSITORY}
        for network in arguments.networks:
            for seed in arguments.seeds[:1] if arguments.quick else arguments.seeds:
                hashes = {
                    when: build(code[when], network, seed, Path(scratch) / f"{network}-{seed}-{when}") for when in code
                }
                for file in FILES:
                    before, after = hashes["before"][file], hashes["after"][file]
                    differing += before != after
                    row = {"network": network, "seed": seed, "file": file, "same": "no" if before != after else "yes"}
                    digests = {"sha256_before": before[:16], "sha256_after": after[:16]}
                    append("same_bytes", {**row, **names, **digests}, keep=not arguments.quick)
    if differing:
        sys.exit(f"{differing} files differ")


if __name__ == "__main__":
    main()
