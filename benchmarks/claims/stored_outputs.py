"""A TFLite file that gives away nothing but its five likeliest classes, as an API does: what a student learns from it.

python -m benchmarks.claims.stored_outputs --root DIR --teacher pretrainedResnet_quant.tflite
    [--seeds 0 1 2] [--samples 10000]

MLPerf Tiny's int8 ResNet-8 is asked once about CIFAR-10's training images, and is put away. `top-5` learns from its
five likeliest classes and their probabilities, `all` from all ten, neither from any label; `labels alone` has no
teacher. All three are ResNet-8s from the same first weights, on the same images, for as many epochs; the last one
counts. Writes results/stored_outputs.csv, a row a student. --quick: 2,000 images, one seed and two epochs, nothing is
recorded.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.first_stages import distill
from benchmarks.support.record import append
from edgekd.data.splits import PARTS, Splits
from edgekd.distillation.teachers.tflite_file import open_tflite

DATA = {"name": "cifar10", "augment": {"shift": 4, "flip": True}}
TOP_CLASSES = {"top-5": 5, "all": 10}
TRAINING = {"batch_size": 128, "precision": "bf16"}


def store_outputs(teacher: Path, splits: Splits, count: int, file: Path) -> None:
    """Write the teacher's likeliest classes and their probabilities for each image: `indices` and `probabilities`."""
    teacher_function = open_tflite(teacher, splits, raw=True)
    arrays = {}
    for part in PARTS:
        probabilities = teacher_function(np.asarray(getattr(splits, part).x))
        prefix = "" if part == "train" else f"{part}_"
        arrays[f"{prefix}indices"] = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
        arrays[f"{prefix}probabilities"] = np.take_along_axis(probabilities, arrays[f"{prefix}indices"], axis=1)
    np.savez(file, **arrays)


def main() -> None:
    """Train each student with each seed, and record a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of CIFAR-10's binary batches")
    parser.add_argument("--teacher", type=Path, required=True, help="a TFLite file that takes int8 or uint8 pixels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--store", type=Path, help="finished work is kept there")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.samples, arguments.epochs = arguments.seeds[:1], 2_000, 2
    with tempfile.TemporaryDirectory() as scratch:
        store = arguments.store or Path(scratch) / "store"
        for seed in arguments.seeds:
            data = {**DATA, "root": str(arguments.root.resolve()), "limit": arguments.samples}
            splits = Splits.load(distill({"seed": seed, "data": data}, store, last="data")["data"].folder)
            for name, count in TOP_CLASSES.items():
                answers = Path(scratch) / f"{name}-{seed}.npz"
                store_outputs(arguments.teacher, splits, count, answers)
                settings: dict[str, Any] = {
                    "seed": seed, "data": data, "teacher": {"answers": str(answers)}, "student": {"model": "resnet8"},
                    "distill": {
                        **TRAINING, "epochs": arguments.epochs, "baseline": name == "top-5",
                        "losses": [{"name": "logits", "temperature": 2.0, "hard": 0.0}],
                    },
                }  # fmt: skip
                artifacts = distill(settings, store)
                metrics, teacher_score = artifacts["distill"].metrics, artifacts["teacher"].metrics["score"]
                for student, accuracy in ((name, metrics["score"]), ("labels alone", metrics["baseline_score"])):
                    if accuracy is not None:
                        row = {
                            "student": student,
                            "seed": seed,
                            "samples": len(splits.train),
                            "epochs": arguments.epochs,
                        }
                        row |= {"teacher_accuracy": round(teacher_score, 2), "accuracy": round(accuracy, 2)}
                        append("stored_outputs", row, keep=not arguments.quick)


if __name__ == "__main__":
    main()
