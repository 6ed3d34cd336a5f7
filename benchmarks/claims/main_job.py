"""The main job, start to end, in an empty store: accuracy, bytes, mismatches and the time that it took.

python -m benchmarks.claims.main_job digits --seeds 0 1 2
python -m benchmarks.claims.main_job mnist --root DIR
python -m benchmarks.claims.main_job cifar10 --root DIR --checkpoint resnet56-4bfd9763.th

Writes results/main_job.csv, a row a build. The time covers `edgekd build` alone, its imports included.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.support.builds import run_build
from benchmarks.support.paths import CONFIGS
from benchmarks.support.record import append
from edgekd.results import Report


def build(arguments: argparse.Namespace, seed: int, folder: Path) -> tuple[Report, float, int]:
    """Build with store and files in `folder`; return the report, the seconds and the exit code."""
    settings = [f"seed={seed}", *arguments.set]
    if arguments.checkpoint:
        settings.append(f"teacher.checkpoint={arguments.checkpoint.resolve()}")
    config = None
    if arguments.data != "digits":
        config = CONFIGS / f"{arguments.data}.toml"
        settings.append(f"data.root={arguments.root.resolve()}")
    start = time.perf_counter()
    report, code = run_build(config, settings, folder / "out", folder / "store", arguments.target)
    return report, time.perf_counter() - start, code


def main() -> None:
    """Build for each seed, and record a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("digits", "mnist", "cifar10"))
    parser.add_argument("--root", type=Path, help="folder of the data set")
    parser.add_argument("--checkpoint", type=Path, help="of the teacher")
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    if arguments.data != "digits" and not arguments.root:
        parser.error(f"{arguments.data} needs --root")
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            report, seconds, code = build(arguments, seed, Path(folder))
        boundaries = {row.name: row for row in report.boundaries}
        stages = {row.stage: row for row in report.stages}
        sizes = {row.path: row.size_bytes for row in report.files}
        teacher, int8 = boundaries["teacher"].score.value, boundaries["litert"].score.value
        teacher_bytes = stages["teacher"].size.value
        assert teacher is not None and int8 is not None and teacher_bytes is not None
        append(
            "main_job",
            {
                "data": arguments.data,
                "target": arguments.target,
                "seed": seed,
                "teacher_accuracy": round(teacher, 2),
                "distilled_accuracy": round(boundaries["distilled"].score.value or 0, 2),
                "pruned_accuracy": round(boundaries["pruned"].score.value or 0, 2),
                "tflite_accuracy": round(int8, 2),
                "onnx_accuracy": round(boundaries["onnxruntime"].score.value or 0, 2),
                "points_lost": round(teacher - int8, 2),
                "teacher_float_bytes": int(teacher_bytes),
                "tflite_bytes": sizes["model.tflite"],
                "onnx_bytes": sizes["model.onnx"],
                "tflite_share_of_teacher": round(sizes["model.tflite"] / teacher_bytes, 4),
                "outputs": boundaries["litert"].outputs,
                "tflite_differing": boundaries["litert"].differing,
                "onnx_differing": boundaries["onnxruntime"].differing,
                "simulation_differing": boundaries["simulation"].differing,
                "simulation_largest_steps": boundaries["simulation"].largest_steps,
                "build_s": round(seconds, 1),
                "exit_code": code,
            },
        )


if __name__ == "__main__":
    main()
