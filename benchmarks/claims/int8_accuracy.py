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
from benchmarks.support.builds import built
from benchmarks.support.paths import CONFIGS
from benchmarks.support.record import append
from edgekd.results import Report

STUDENTS = ("resnet20", "mobilenetv2", "dscnn", "text_encoder")


def build(asked: argparse.Namespace, method: str, seed: int, root: Path, folder: Path, store: Path) -> Report:
    """The report of one build."""
    settings = [f"data.root={root.resolve()}", f"quantize.method={method}", f"seed={seed}", *asked.set]
    if asked.checkpoint:
        settings.append(f"teacher.checkpoint={asked.checkpoint.resolve()}")
        if asked.student == "resnet20":
            settings += [f"student.checkpoint={asked.checkpoint.resolve()}", "distill.epochs=0"]
    return built(CONFIGS / f"int8_{asked.student}.toml", settings, folder, store, asked.target)[0]


def keep(asked: argparse.Namespace, method: str, seed: int, report: Report) -> None:
    """A row of the CSV."""
    boundaries = {row.name: row for row in report.boundaries}
    proof = {name: row for name, row in boundaries.items() if row.outputs is not None and row.exact}
    before, int8 = boundaries["pruned"].score.value, boundaries["litert"].score.value
    assert before is not None and int8 is not None
    sizes = {row.path: row.size_bytes for row in report.files}
    append(
        "int8_accuracy",
        {
            "student": asked.student,
            "method": method,
            "seed": seed,
            "test_samples": report.data["test"],
            "accuracy_float": round(before, 2),
            "accuracy_int8": round(int8, 2),
            "points_lost": round(before - int8, 2),
            "tflite_bytes": sizes["model.tflite"],
            "outputs": boundaries["litert"].outputs,
            **{f"{name}_differing": proof[name].differing for name in ("litert", "onnxruntime", "simulation")},
            "simulation_largest_steps": boundaries["simulation"].largest_steps,
            "layers_differing": sum(layer.differing > 0 for row in proof.values() for layer in row.layers),
        },
    )


def main() -> None:
    """Quantise one student by each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", choices=STUDENTS)
    parser.add_argument("--root", type=Path, required=True, help="folder or file of the data set")
    parser.add_argument("--checkpoint", type=Path, help="of the teacher; for resnet20 of the student too")
    parser.add_argument("--methods", nargs="+", choices=("ptq", "qat"), default=["ptq", "qat"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--store", type=Path, help="finished work is kept there")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = by_speaker(asked.root, Path(scratch) / "speech.npz") if asked.student == "dscnn" else asked.root
        store = asked.store.resolve() if asked.store else Path(scratch) / "store"
        for seed in asked.seeds:
            for method in asked.methods:
                keep(asked, method, seed, build(asked, method, seed, root, Path(scratch) / method, store))


if __name__ == "__main__":
    main()
