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
KEPT = {"top-5": 5, "all": 10}
TRAINING = {"batch_size": 128, "precision": "bf16"}


def stored(teacher: Path, splits: Splits, keep: int, file: Path) -> None:
    """Its likeliest classes for each image of each part, and their probabilities: `indices` and `probabilities`."""
    ask = open_tflite(teacher, splits, raw=True)
    arrays = {}
    for part in PARTS:
        found = ask(np.asarray(getattr(splits, part).x))
        prefix = "" if part == "train" else f"{part}_"
        arrays[f"{prefix}indices"] = np.argsort(-found, axis=1, kind="stable")[:, :keep]
        arrays[f"{prefix}probabilities"] = np.take_along_axis(found, arrays[f"{prefix}indices"], axis=1)
    np.savez(file, **arrays)


def main() -> None:
    """A row for each student and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of CIFAR-10's binary batches")
    parser.add_argument("--teacher", type=Path, required=True, help="a TFLite file that takes int8 or uint8 pixels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--store", type=Path, help="finished work is kept there")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    if asked.quick:
        asked.seeds, asked.samples, asked.epochs = asked.seeds[:1], 2_000, 2
    with tempfile.TemporaryDirectory() as scratch:
        store = asked.store or Path(scratch) / "store"
        for seed in asked.seeds:
            data = {**DATA, "root": str(asked.root.resolve()), "limit": asked.samples}
            splits = Splits.load(distill({"seed": seed, "data": data}, store, last="data")["data"].folder)
            for name, keep in KEPT.items():
                answers = Path(scratch) / f"{name}-{seed}.npz"
                stored(asked.teacher, splits, keep, answers)
                settings: dict[str, Any] = {
                    "seed": seed, "data": data, "teacher": {"answers": str(answers)}, "student": {"model": "resnet8"},
                    "distill": {
                        **TRAINING, "epochs": asked.epochs, "baseline": name == "top-5",
                        "losses": [{"name": "logits", "temperature": 2.0, "hard": 0.0}],
                    },
                }  # fmt: skip
                made = distill(settings, store)
                found, by = made["distill"].metrics, made["teacher"].metrics["score"]
                for student, accuracy in ((name, found["score"]), ("labels alone", found["baseline_score"])):
                    if accuracy is not None:
                        row = {"student": student, "seed": seed, "samples": len(splits.train), "epochs": asked.epochs}
                        row |= {"teacher_accuracy": round(by, 2), "accuracy": round(accuracy, 2)}
                        append("stored_outputs", row, keep=not asked.quick)


if __name__ == "__main__":
    main()
