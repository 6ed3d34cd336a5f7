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
"""Born-again: the teacher's probabilities and the labels, as they are."""
HINTS = [*SOFT, {"name": "hints", "weight": 1.0}]
WIDE, THIN, SMALL = {"model": "resnet8"}, {"model": "resnet20", "width": 8}, {"model": "resnet8", "width": 8}


WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "mutual": (WIDE, WIDE, {"scheme": {"name": "mutual", "peers": 2}, "losses": SOFT}),
    "born-again": (WIDE, WIDE, {"scheme": {"name": "born_again"}, "losses": EVEN, "baseline": False}),
    "thin-deep": (WIDE, THIN, {"losses": HINTS}),
    "ensemble": ({**WIDE, "members": MEMBERS}, SMALL, {"losses": SOFT}),
}
"""Name -> (teacher, student, what `distill` is told)."""


def taught(
    name: str, data: str, told: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], settings: Mapping[str, Any],
    store: Path,
) -> dict[str, Artifact]:  # fmt: skip
    """One run and its row; where the same student was trained by labels alone beside it, that one's row too."""
    teacher, student, asked = told
    training = TRAINING[data]
    sections = {"teacher": {**training, **teacher}, "student": student, "distill": {**training, **asked}}
    made = distill({**settings, **sections}, store)
    learnt, by = made["distill"].metrics, made["teacher"].metrics
    shared = {"data": data, "seed": settings["seed"], "student": student["model"], "teacher": teacher["model"]}
    for run, accuracy in ((name, learnt["score"]), (f"{name}: labels alone", learnt["baseline_score"])):
        if accuracy is not None:
            figures = {"teacher_accuracy": round(by["score"], 2), "accuracy": round(accuracy, 2)}
            row = {"run": run, **shared, **figures, "parameters": learnt["parameters"]}
            append("schemes", row, keep=data != "digits")
    return made


def best_member(teacher: Artifact) -> Path:
    """The weights of the member that is right most often on the validation split."""
    validation = [member["validation"] for member in teacher.metrics["members"]]
    return teacher.folder / "parts" / str(validation.index(max(validation))) / "model" / "weights.pt"


def main() -> None:
    """All ways with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("mnist", "cifar10", "digits"), nargs="?", default="digits")
    parser.add_argument("--root", type=Path, help="folder of the data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--store", type=Path, help="finished work is kept there, so that a run can go on")
    parser.add_argument("--quick", action="store_true", help="the digits and one seed")
    asked = parser.parse_args()
    data = "digits" if asked.quick else asked.data
    if data != "digits" and not asked.root:
        parser.error(f"{data} needs --root")
    root = {"root": str(asked.root.resolve())} if asked.root and data != "digits" else {}
    with tempfile.TemporaryDirectory() as folder:
        store = asked.store or Path(folder)
        for seed in asked.seeds[:1] if asked.quick else asked.seeds:
            settings = {"seed": seed, "data": {**DATA[data], **root}}
            for name in asked.only:
                made = taught(name, data, WAYS[name], settings, store)
                if name == "ensemble":
                    teacher, student, told = WAYS[name]
                    single = {"model": teacher["model"], "checkpoint": str(best_member(made["teacher"]))}
                    taught("best-single", data, (single, student, {**told, "baseline": False}), settings, store)


if __name__ == "__main__":
    main()
