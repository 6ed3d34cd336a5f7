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

from benchmarks.peers.files import float_operators, opened
from benchmarks.peers.job import Converted, Job
from benchmarks.peers.tools import TOOLS
from edgekd.config import Augment, Quantize
from edgekd.data.batches import normalise
from edgekd.training.evaluate import answers_of


def main() -> None:
    """Convert, judge, write."""
    parser = argparse.ArgumentParser()
    for name in ("tool", "mode", "format"):
        parser.add_argument(name)
    for name in ("student", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("quantize", "augment"):
        parser.add_argument(f"--{name}", type=json.loads, default={})
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    tool = TOOLS[asked.tool]
    quantize, augment = Quantize(**asked.quantize), Augment(**asked.augment)
    job = Job(asked.student, asked.out, asked.mode, asked.format, quantize, augment)
    converted: Converted = importlib.import_module(f"benchmarks.peers.{tool.module}").convert(job)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = {
        "file": str(converted.file),
        "size_bytes": converted.file.stat().st_size,
        "convert_s": round(job.clock.convert_s, 2),
        "train_s": round(job.clock.train_s, 1),
        "peak_mb": round(peak_kib * 1024 / 1e6),
        **judged(job, converted),
        "note": "; ".join(filter(None, [converted.note, in_float(converted.file)])),
        "versions": {name: version(name) for name in tool.packages},
    }
    (asked.out / "answer.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


def in_float(file: Path) -> str:
    """What of an int8 file is none, in words."""
    count = float_operators(file) if file.suffix == ".tflite" else 0
    return f"{count} operators compute in float" if count else ""


def judged(job: Job, converted: Converted) -> dict[str, float | int | str]:
    """What the file answers on the test set, against labels, float network and the tool's own simulation."""
    splits, y = job.splits, np.asarray(job.splits.test.y)
    score = splits.task.scoring.score
    wanted = answers_of(job.student(), splits.test, splits)
    inputs = normalise(splits.test.x, splits).numpy()
    file = opened(converted.file)
    found = file.logits(inputs)
    if len(np.unique(found, axis=0)) == 1:
        raise RuntimeError("the file answers the same to every input")
    answer: dict[str, float | int | str] = {
        "samples": len(y),
        "accuracy": round(score(found, y).value, 2),
        "accuracy_float": round(score(wanted, y).value, 2),
        "same_class_share": round(float(np.mean(found.argmax(1) == wanted.argmax(1))), 4),
        "identical_share": "",
        "max_steps": "",
    }
    if converted.simulate is not None:
        apart = steps_apart(found, converted.simulate(inputs), file.output.scale)
        answer |= {"identical_share": round(float(np.mean(apart == 0)), 6), "max_steps": int(apart.max())}
    return answer


def steps_apart(found: np.ndarray, simulated: np.ndarray, step: float | None) -> np.ndarray:
    """How many int8 steps each output is from its simulation.

    A file whose outputs are float has no step: one in 255 of the simulation's range stands for it.
    """
    if step is None:
        step = float(simulated.max() - simulated.min()) / 255
    apart: np.ndarray = np.rint(np.abs(found.astype(np.float64) - simulated) / step).astype(np.int64)
    return apart


if __name__ == "__main__":
    main()
