"""What int8 costs in accuracy, with and without training: the same float student quantised by PTQ and by QAT.

python -m benchmarks.claims.int8_accuracy resnet20 --root DIR --checkpoint resnet20-12fca82f.th
python -m benchmarks.claims.int8_accuracy mobilenetv2 --root DIR --checkpoint resnet20-12fca82f.th
python -m benchmarks.claims.int8_accuracy dscnn --root mfcc10_f16.npz
python -m benchmarks.claims.int8_accuracy text_encoder --root SST-2

Settings stand in configs/int8_*.toml. Writes results/int8_accuracy.csv, a row a build: the whole test set, the
int8 file under LiteRT against the float network in torch. --store keeps the float student, so that a run can go on.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.peers.students import by_speaker
from benchmarks.support.builds import run_build
from benchmarks.support.paths import CONFIGS
from benchmarks.support.record import append
from edgekd.results import Report

STUDENTS = ("resnet20", "mobilenetv2", "dscnn", "text_encoder")


def build(arguments: argparse.Namespace, method: str, seed: int, root: Path, folder: Path, store: Path) -> Report:
    """Build one student, and return the report."""
    settings = [f"data.root={root.resolve()}", f"quantize.method={method}", f"seed={seed}", *arguments.set]
    if arguments.checkpoint:
        settings.append(f"teacher.checkpoint={arguments.checkpoint.resolve()}")
        if arguments.student == "resnet20":
            settings += [f"student.checkpoint={arguments.checkpoint.resolve()}", "distill.epochs=0"]
    return run_build(CONFIGS / f"int8_{arguments.student}.toml", settings, folder, store, arguments.target)[0]


def record(arguments: argparse.Namespace, method: str, seed: int, report: Report) -> None:
    """Record a row of the CSV."""
    boundaries = {row.name: row for row in report.boundaries}
    proof = {name: row for name, row in boundaries.items() if row.outputs is not None and row.exact}
    float_score, int8_score = boundaries["pruned"].score.value, boundaries["litert"].score.value
    assert float_score is not None and int8_score is not None
    sizes = {row.path: row.size_bytes for row in report.files}
    append(
        "int8_accuracy",
        {
            "student": arguments.student,
            "method": method,
            "seed": seed,
            "test_samples": report.data["test"],
            "accuracy_float": round(float_score, 2),
            "accuracy_int8": round(int8_score, 2),
            "points_lost": round(float_score - int8_score, 2),
            "tflite_bytes": sizes["model.tflite"],
            "outputs": boundaries["litert"].outputs,
            **{f"{name}_differing": proof[name].differing for name in ("litert", "onnxruntime", "simulation")},
            "simulation_largest_steps": boundaries["simulation"].largest_steps,
            "layers_differing": sum(layer.differing > 0 for row in proof.values() for layer in row.layers),
        },
    )


def main() -> None:
    """Quantise one student by each method and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", choices=STUDENTS)
    parser.add_argument("--root", type=Path, required=True, help="folder or file of the data set")
    parser.add_argument("--checkpoint", type=Path, help="of the teacher; for resnet20 of the student too")
    parser.add_argument("--methods", nargs="+", choices=("ptq", "qat"), default=["ptq", "qat"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--store", type=Path, help="finished work is kept there")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = (
            by_speaker(arguments.root, Path(scratch) / "speech.npz") if arguments.student == "dscnn" else arguments.root
        )
        store = arguments.store.resolve() if arguments.store else Path(scratch) / "store"
        for seed in arguments.seeds:
            for method in arguments.methods:
                record(arguments, method, seed, build(arguments, method, seed, root, Path(scratch) / method, store))


if __name__ == "__main__":
    main()
