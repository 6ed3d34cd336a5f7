"""Students that beat their teacher, peers that beat training alone, and five teachers against the best one of them.

python -m benchmarks.claims.schemes cifar10 --root DIR [--seeds 0 1 2] [--store DIR]
python -m benchmarks.claims.schemes mnist --root DIR
python -m benchmarks.claims.schemes --quick           the digits, one seed, some minutes

Everything learns from the same few thousand samples. `mutual`: a network beside a peer. `born-again`: the teacher's own
architecture, two generations after it. `thin-deep`: a deeper network of half the channels under a wide one, by FitNets'
hints and soft targets (Romero et al., 2015). `ensemble`: a small student under five networks at once; `best-single`:
the same student under the one of the five that is best on validation. "labels alone" is the same student in as many
epochs without its teacher. Writes results/schemes.csv, a row a run, with the test accuracies of student and teacher;
the digits' are printed.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.support.first_stages import distill
from benchmarks.support.record import append
from edgekd.pipeline.store import Artifact

MEMBERS = 5
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
DATA: dict[str, dict[str, Any]] = {
    "digits": {"name": "digits", "augment": {"shift": 1}},
    "mnist": {"name": "idx", "limit": 5000, "augment": {"shift": 2}},
    "cifar10": {"name": "cifar10", "limit": 10000, "augment": {"shift": 4, "flip": True}, **IMAGENET},
}
TRAINING = {
    "digits": {"epochs": 8, "batch_size": 64},
    "mnist": {"epochs": 20, "batch_size": 128, "precision": "bf16"},
    "cifar10": {"epochs": 40, "batch_size": 128, "precision": "bf16"},
}
SOFT = [{"name": "logits", "temperature": 4.0, "hard": 0.1}]
EVEN = [{"name": "logits", "temperature": 1.0, "hard": 0.5}]
"""The loss of born-again: the teacher's probabilities at temperature 1, and the labels."""
HINTS = [*SOFT, {"name": "hints", "weight": 1.0}]
WIDE, THIN, SMALL = {"model": "resnet8"}, {"model": "resnet20", "width": 8}, {"model": "resnet8", "width": 8}


RUNS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "mutual": (WIDE, WIDE, {"scheme": {"name": "mutual", "peers": 2}, "losses": SOFT}),
    "born-again": (WIDE, WIDE, {"scheme": {"name": "born_again"}, "losses": EVEN, "baseline": False}),
    "thin-deep": (WIDE, THIN, {"losses": HINTS}),
    "ensemble": ({**WIDE, "members": MEMBERS}, SMALL, {"losses": SOFT}),
}
"""The settings of teacher, student and distillation of each run."""


def train_students(
    name: str,
    data: str,
    run_settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
    settings: Mapping[str, Any],
    store: Path,
) -> dict[str, Artifact]:
    """Train the students of one run, and record a row for each, that on labels alone included if there is one."""
    teacher, student, distill_settings = run_settings
    training = TRAINING[data]
    sections = {"teacher": {**training, **teacher}, "student": student, "distill": {**training, **distill_settings}}
    artifacts = distill({**settings, **sections}, store)
    student_metrics, teacher_metrics = artifacts["distill"].metrics, artifacts["teacher"].metrics
    shared = {"data": data, "seed": settings["seed"], "student": student["model"], "teacher": teacher["model"]}
    for run, accuracy in (
        (name, student_metrics["score"]),
        (f"{name}: labels alone", student_metrics["baseline_score"]),
    ):
        if accuracy is not None:
            accuracies = {"teacher_accuracy": round(teacher_metrics["score"], 2), "accuracy": round(accuracy, 2)}
            row = {"run": run, **shared, **accuracies, "parameters": student_metrics["parameters"]}
            append("schemes", row, keep=data != "digits")
    return artifacts


def best_member(teacher: Artifact) -> Path:
    """Return the weights of the ensemble's member with the best validation score."""
    validation = [member["validation"] for member in teacher.metrics["members"]]
    return teacher.folder / "parts" / str(validation.index(max(validation))) / "model" / "weights.pt"


def main() -> None:
    """Train the students of each run with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("mnist", "cifar10", "digits"), nargs="?", default="digits")
    parser.add_argument("--root", type=Path, help="folder of the data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--store", type=Path, help="finished work is kept there, so that a run can go on")
    parser.add_argument("--quick", action="store_true", help="the digits and one seed")
    arguments = parser.parse_args()
    data = "digits" if arguments.quick else arguments.data
    if data != "digits" and not arguments.root:
        parser.error(f"{data} needs --root")
    root = {"root": str(arguments.root.resolve())} if arguments.root and data != "digits" else {}
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or Path(folder)
        for seed in arguments.seeds[:1] if arguments.quick else arguments.seeds:
            settings = {"seed": seed, "data": {**DATA[data], **root}}
            for name in arguments.only:
                artifacts = train_students(name, data, RUNS[name], settings, store)
                if name == "ensemble":
                    teacher, student, distill_settings = RUNS[name]
                    single = {"model": teacher["model"], "checkpoint": str(best_member(artifacts["teacher"]))}
                    train_students(
                        "best-single", data, (single, student, {**distill_settings, "baseline": False}), settings, store
                    )


if __name__ == "__main__":
    main()
