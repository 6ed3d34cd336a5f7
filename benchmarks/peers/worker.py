"""The process that converts one student with one tool, and judges the file on the test set: writes answer.json.

A process of its own, so that imports, versions and peak memory are the tool's.
"""

import argparse
import importlib
import json
import resource
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.peers.files import float_operators, open_file
from benchmarks.peers.job import Conversion, Job
from benchmarks.peers.tools import TOOLS
from edgekd.config import Augment, Quantize
from edgekd.data.batches import normalise
from edgekd.training.evaluate import answers_of


def main() -> None:
    """Convert one student, evaluate the file, and write answer.json."""
    parser = argparse.ArgumentParser()
    for name in ("tool", "mode", "format"):
        parser.add_argument(name)
    for name in ("student", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("quantize", "augment"):
        parser.add_argument(f"--{name}", type=json.loads, default={})
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tool = TOOLS[arguments.tool]
    quantize, augment = Quantize(**arguments.quantize), Augment(**arguments.augment)
    job = Job(arguments.student, arguments.out, arguments.mode, arguments.format, quantize, augment)
    conversion: Conversion = importlib.import_module(f"benchmarks.peers.{tool.module}").convert(job)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = {
        "file": str(conversion.file),
        "size_bytes": conversion.file.stat().st_size,
        "convert_s": round(job.clock.convert_s, 2),
        "train_s": round(job.clock.train_s, 1),
        "peak_mb": round(peak_kib * 1024 / 1e6),
        **evaluate(job, conversion),
        "note": "; ".join(filter(None, [conversion.note, in_float(conversion.file)])),
        "versions": {name: version(name) for name in tool.packages},
    }
    (arguments.out / "answer.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


def in_float(file: Path) -> str:
    """Say how many operators of an int8 file compute in float, or nothing if none do."""
    count = float_operators(file) if file.suffix == ".tflite" else 0
    return f"{count} operators compute in float" if count else ""


def evaluate(job: Job, conversion: Conversion) -> dict[str, float | int | str]:
    """Compare the file's outputs on the test set with labels, float network and the tool's own simulation."""
    splits, y = job.splits, np.asarray(job.splits.test.y)
    score = splits.task.scoring.score
    float_logits = answers_of(job.student(), splits.test, splits)
    inputs = normalise(splits.test.x, splits).numpy()
    file = open_file(conversion.file)
    logits = file.logits(inputs)
    if len(np.unique(logits, axis=0)) == 1:
        raise RuntimeError("the file answers the same to every input")
    answer: dict[str, float | int | str] = {
        "samples": len(y),
        "accuracy": round(score(logits, y).value, 2),
        "accuracy_float": round(score(float_logits, y).value, 2),
        "same_class_share": round(float(np.mean(logits.argmax(1) == float_logits.argmax(1))), 4),
        "identical_share": "",
        "max_steps": "",
    }
    if conversion.simulate is not None:
        steps = steps_between(logits, conversion.simulate(inputs), file.output.scale)
        answer |= {"identical_share": round(float(np.mean(steps == 0)), 6), "max_steps": int(steps.max())}
    return answer


def steps_between(logits: np.ndarray, simulated: np.ndarray, step: float | None) -> np.ndarray:
    """Return the difference of each output from its simulation in int8 steps.

    For float outputs a step is 1/255 of the simulation's range.
    """
    if step is None:
        step = float(simulated.max() - simulated.min()) / 255
    steps: np.ndarray = np.rint(np.abs(logits.astype(np.float64) - simulated) / step).astype(np.int64)
    return steps


if __name__ == "__main__":
    main()
