"""CIFAR-10 students of a ResNet-56, as small as MLPerf Tiny's: float, int8, bytes.

python -m benchmarks.claims.cifar10_students --root DIR --checkpoint resnet56-4bfd9763.th
    [--also resnet44-014dd654.th ...] [--student NAME] [--method NAME] [--seeds 0 1 2] [--epochs N] [--store DIR]
    [--out DIR] [--processes N] [--set KEY=VALUE] [--quick]

Published, on the same 10,000 images: ResNet-8 alone 87.19 % in float, 86.97 % in int8, 98,496 bytes; the teacher has
93.39 %. `alone` trains on labels, every other --method is a loss of the catalog, or "attention+logits" and the like.
Settings stand in configs/cifar10_students.toml; --student and --set change the network. What --out keeps may be
trained further: --set student.checkpoint=DIR/student.pt. Writes results/cifar10_students.csv, a row a build.
--quick: two epochs on 5,000 images, nothing is recorded.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.support.builds import run_build
from benchmarks.support.paths import CONFIGS
from benchmarks.support.record import append
from edgekd.config import toml
from edgekd.results import Report

SOFT_TARGETS = {"name": "logits", "temperature": 4.0, "hard": 0.1}
WEIGHTS = {"attention": 1000.0, "similarity": 3000.0}
"""The customary weights of the losses that need one."""


def losses(method: str) -> list[dict[str, Any]]:
    """Return `distill.losses` for a method; labels alone are soft targets with a share of 1 for the labels."""
    if method == "alone":
        return [{"name": "logits", "hard": 1.0}]
    return [
        SOFT_TARGETS if name == "logits" else {"name": name, "weight": WEIGHTS.get(name, 1.0)}
        for name in method.split("+")
    ]


def build(arguments: argparse.Namespace, seed: int, folder: Path, store: Path) -> Report:
    """Build one student, and return the report."""
    settings: dict[str, Any] = {
        "data.root": arguments.root.resolve(), "teacher.checkpoint": arguments.checkpoint.resolve(), "seed": seed,
        "student.model": arguments.student, "distill.losses": toml.value(losses(arguments.method)),
    }  # fmt: skip
    if arguments.also:
        also = [{"model": file.name.split("-")[0], "checkpoint": str(file.resolve())} for file in arguments.also]
        settings |= {"teacher.also": toml.value(also), "distill.combine": "geometric"}
    if arguments.epochs:
        settings["distill.epochs"] = arguments.epochs
    if arguments.quick:
        settings |= {"data.limit": 5000, "distill.epochs": 2, "quantize.epochs": 1}
    pairs = (f"{name}={value}" for name, value in settings.items())
    assignments = [*pairs, *arguments.set]
    return run_build(CONFIGS / "cifar10_students.toml", assignments, folder, store, processes=arguments.processes)[0]


def main() -> None:
    """Build for each seed, and record a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of CIFAR-10's binary batches")
    parser.add_argument("--checkpoint", type=Path, required=True, help="of the ResNet-56")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="further ResNets that teach with it, as one")
    parser.add_argument("--student", default="resnet8")
    parser.add_argument("--method", default="logits")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--store", type=Path, help="finished work is kept there, and a killed run goes on")
    parser.add_argument("--out", type=Path, help="the last build's files are kept there")
    parser.add_argument("--processes", type=int, default=1, help="that train together, under torchrun")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = arguments.store.resolve() if arguments.store else Path(scratch) / "store"
        for seed in arguments.seeds:
            report = build(arguments, seed, arguments.out.resolve() if arguments.out else Path(scratch) / "out", store)
            stages = {row.stage: row for row in report.stages}
            boundaries = {row.name: row for row in report.boundaries}
            row = {
                "student": arguments.student,
                "method": arguments.method,
                "seed": seed,
                "accuracy_teacher": round(stages["teacher"].score.value or 0, 2),
                "accuracy_float": round(stages["pruned"].score.value or 0, 2),
                "accuracy_int8": round(boundaries["litert"].score.value or 0, 2),
                "size_bytes": {file.path: file.size_bytes for file in report.files}["model.tflite"],
                "epochs": report.distillation.epochs if report.distillation else 0,
                "settings": " ".join([*arguments.set, *(f"also={file.stem}" for file in arguments.also)]),
                "outputs_differing": sum(boundaries[name].differing or 0 for name in ("litert", "onnxruntime")),
            }
            append("cifar10_students", row, keep=not arguments.quick)


if __name__ == "__main__":
    main()
