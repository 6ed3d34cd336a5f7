"""DistilBERT's and TinyBERT's claims at the size that two cores can train: SST-2, a 6-layer teacher, two students.

python -m benchmarks.claims.text_students --root SST-2 [--students half tiny] [--seeds 0 1 2] [--store DIR] [--quick]

Sanh et al. (2019): half the layers keep 97 % of the score, with 40 % fewer parameters, 60 % faster. Jiao et al. (2020):
7.5 times smaller and 9.4 times faster, 96 % of it. Settings stand in configs/text_*.toml; nothing here is pre-trained.
Writes results/text_students.csv, a row a build: accuracies on GLUE's dev part, float latency of teacher and student in
turns on this host (LiteRT, one thread), and the int8 files. --quick takes 2,000 sentences and one epoch, and records
nothing.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.support.builds import run_build
from benchmarks.support.paths import CONFIGS
from benchmarks.support.record import append
from edgekd.results import Report, StageRow

STUDENTS = ("half", "tiny")
QUICK = ("data.limit=2000", "teacher.epochs=1", "distill.epochs=1", "quantize.calibration=256")


def build(arguments: argparse.Namespace, student: str, seed: int, folder: Path, store: Path) -> Report:
    """Build one student, and return the report; students of one seed share their teacher."""
    settings = [
        f"data.root={arguments.root.resolve()}",
        f"seed={seed}",
        *(QUICK if arguments.quick else ()),
        *arguments.set,
    ]
    return run_build(CONFIGS / f"text_{student}.toml", settings, folder, store)[0]


def row(student: str, seed: int, report: Report) -> dict[str, Any]:
    """Return the CSV's columns of a build."""
    stages: dict[str, StageRow] = {stage.stage: stage for stage in report.stages}
    teacher, distilled = stages["teacher"], stages["distilled"]
    boundaries = {boundary.name: boundary for boundary in report.boundaries}
    sizes = {file.path: file.size_bytes for file in report.files}
    assert report.distillation and report.distillation.score_alone

    def percent(name: str) -> float:
        return round(boundaries[name].score.value or 0, 2)

    speed = _ratio(teacher.latency_ratio.value, distilled.latency_ratio.value)
    return {
        "student": student,
        "seed": seed,
        "accuracy_teacher": percent("teacher"),
        "accuracy_float": percent("distilled"),
        "accuracy_alone": round(report.distillation.score_alone.each[0], 2),
        "accuracy_tflite": percent("litert"),
        "accuracy_onnx": percent("onnxruntime"),
        "kept_percent": round(100 * percent("distilled") / percent("teacher"), 2),
        "parameters_teacher": int(teacher.parameters.value or 0),
        "parameters": int(distilled.parameters.value or 0),
        "times_smaller": round(_ratio(teacher.parameters.value, distilled.parameters.value), 2),
        "times_faster": round(speed, 2),
        "tflite_bytes": sizes["model.tflite"],
        "onnx_bytes": sizes["model.onnx"],
        "outputs": boundaries["litert"].outputs,
        "outputs_differing": sum(boundaries[name].differing or 0 for name in ("litert", "onnxruntime")),
        "test_samples": report.data["test"],
    }


def _ratio(one: float | None, other: float | None) -> float:
    return one / other if one and other else float("nan")


def main() -> None:
    """Build each student for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of SST-2")
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=list(STUDENTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--store", type=Path, help="finished work is kept there")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = arguments.store.resolve() if arguments.store else Path(scratch) / "store"
        for seed in arguments.seeds:
            for student in arguments.students:
                report = build(arguments, student, seed, Path(scratch) / student, store)
                columns = row(student, seed, report)
                append("text_students", columns, keep=not arguments.quick)


if __name__ == "__main__":
    main()
