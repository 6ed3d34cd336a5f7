"""Robust and data-free distillation: students of a teacher that was trained on MNIST, with and without attack.

python -m benchmarks.claims.adversarial --root MNIST [--seeds 0 1 2] [--students NAME ...] [--store DIR] [--quick]

`plain` learns the teacher's soft targets; `robust` learns them on images that were changed against it (RSLAD; the
teacher is an ordinary one). `generated` learns from the data and from images on which a generator finds it to disagree
with its teacher; `data-free` sees no image but the generator's. All are the same network from the same first weights;
the last epoch counts. Each is measured on the test set as it is and under PGD of 20 steps. Writes
results/adversarial.csv, a row a student. --quick takes the built-in digits and one seed, and records nothing.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.support.first_stages import distill
from benchmarks.support.record import append
from edgekd.data.splits import Splits
from edgekd.distillation.schemes.robustness import score_under_pgd
from edgekd.nn import blueprint

EPS = 25.0
"""The largest perturbation, in a pixel's 255 steps."""

SOFT = [{"name": "logits", "temperature": 4.0, "hard": 0.1}]
STUDENTS: dict[str, dict[str, Any]] = {
    "plain": {"losses": SOFT, "baseline": True},
    "robust": {
        "scheme": {"name": "robust", "eps": EPS, "steps": 5, "step": 0.3},
        "losses": [{"name": "logits", "temperature": 1.0, "hard": 0.0}],
    },
    "generated": {"scheme": {"name": "adversarial"}, "losses": SOFT},
    "data-free": {"scheme": {"name": "adversarial", "data": "none"}, "epochs": 4},
}
"""The settings of each student's distillation; `epochs` is a multiple of the others'."""

MNIST = {
    "data": {"name": "idx", "limit": 5000, "augment": {"shift": 2}},
    "teacher": {"model": "resnet8", "epochs": 20, "batch_size": 128, "precision": "bf16"},
    "student": {"model": "resnet8", "width": 8},
    "distill": {"epochs": 15, "batch_size": 128, "precision": "bf16", "baseline": False},
}
DIGITS = {
    "data": {"name": "digits"},
    "teacher": {"model": "resnet8", "epochs": 15},
    "student": {"model": "resnet8", "width": 4},
    "distill": {"epochs": 5, "baseline": False},
}


def main() -> None:
    """Train each student with each seed, and record a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="MNIST's idx files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--students", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--store", type=Path, help="finished work is kept there")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if not arguments.root and not arguments.quick:
        parser.error("--root, or --quick for the built-in digits")
    plan: dict[str, Any] = DIGITS if arguments.quick else MNIST
    root = {} if arguments.quick else {"root": str(arguments.root.resolve())}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in arguments.seeds[:1] if arguments.quick else arguments.seeds:
            for name in arguments.students:
                options = STUDENTS[name]
                distill_settings = {**plan["distill"], **options}
                distill_settings["epochs"] = plan["distill"]["epochs"] * options.get("epochs", 1)
                settings = {**plan, "seed": seed, "data": {**plan["data"], **root}, "distill": distill_settings}
                artifacts = distill(settings, arguments.store or Path(scratch))
                metrics, teacher_score = artifacts["distill"].metrics, artifacts["teacher"].metrics["score"]
                network, _ = blueprint.load(artifacts["distill"].folder / "model")
                splits = Splits.load(artifacts["data"].folder)
                robust_score = score_under_pgd(network.eval(), splits, EPS, 20, title=f"{name}: under attack").value
                row = {
                    "student": name,
                    "seed": seed,
                    "epochs": distill_settings["epochs"],
                    "teacher_accuracy": round(teacher_score, 2),
                }
                row |= {
                    "accuracy": round(metrics["score"], 2),
                    "accuracy_under_pgd": round(robust_score, 2),
                    "eps": EPS,
                }
                row["alone"] = "" if metrics["baseline_score"] is None else round(metrics["baseline_score"], 2)
                append("adversarial", row, keep=not arguments.quick)


if __name__ == "__main__":
    main()
