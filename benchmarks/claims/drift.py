"""Distillation on a stream that drifts half way: with a teacher that keeps learning, a frozen one, and none.

python -m benchmarks.claims.drift [--seeds 0 1 2] [--quick]

The stream is made of the digits of 8 x 8 pixels, drawn with replacement and moved by a pixel; half way they are turned
by 90 degrees, or their classes change names. A teacher is trained on digits as they were before. Then the same student,
fresh, goes through the stream three times: beside a teacher that learns from the labels as well, under the teacher as
it was, and by labels alone. Each batch tests before it teaches. Writes
results/drift.csv: a row for each change, way, seed and window. --quick prints them instead.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch

from benchmarks.support.record import append
from edgekd.config import Augment, Compute, Training
from edgekd.data.sets.digits import digits
from edgekd.data.splits import Split, Splits
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import DistillationRun, network_teacher
from edgekd.distillation.schemes.stream import stream
from edgekd.nn import blueprint
from edgekd.stages.teacher import train

CHANGES = ("turned", "renamed")
METHODS = {"both learn": (True, 0.1), "frozen teacher": (False, 0.1), "labels alone": (False, 1.0)}
"""For each method: whether the teacher learns, and the share of the labels in the student's loss."""
PLANS = {
    "teacher": blueprint.Blueprint("resnet8", {"classes": 10, "input_shape": [1, 8, 8], "width": 16}),
    "student": blueprint.Blueprint("resnet8", {"classes": 10, "input_shape": [1, 8, 8], "width": 8}),
}
SETTINGS = Training(batch_size=32, learning_rate=0.05)
COMPUTE = Compute(accelerator="cpu", threads=1)


def digit_splits() -> Splits:
    """Return the digits on which the teacher is trained."""
    raw = digits()
    parts = {name: Split(*raw[name]) for name in ("train", "test")}
    pixels = parts["train"].x / 255
    return Splits(
        parts["train"], parts["test"], parts["test"], tuple(raw["classes"]), (pixels.mean(),), (pixels.std(),)
    )


def drifting_splits(splits: Splits, change: str, count: int, seed: int) -> Splits:
    """Return a stream of `count` digits, which from the middle on are rotated or have other labels."""
    indices = np.random.default_rng(seed).integers(0, len(splits.train), count)
    x, y = splits.train.x[indices], splits.train.y[indices]
    changes = np.arange(count) >= count // 2
    if change == "turned":
        x = np.where(changes[:, None, None, None], np.rot90(x, axes=(2, 3)), x)
    else:
        y = np.where(changes, (y + 1) % 10, y)
    return replace(splits, train=Split(np.ascontiguousarray(x), y))


def run(change: str, seed: int, plan: tuple[int, int, int], *, keep: bool) -> None:
    """Train on one stream by each method."""
    count, windows, epochs = plan
    splits = digit_splits()
    teacher = blueprint.build(PLANS["teacher"], seed=seed)
    augment = Augment(shift=1)
    train(teacher, splits, Training(epochs=epochs), seed=seed, compute=COMPUTE, augment=augment)
    weights = {name: value.clone() for name, value in teacher.state_dict().items()}

    def network() -> torch.nn.Module:
        copy = blueprint.build(PLANS["teacher"])
        copy.load_state_dict(weights)
        return copy

    for method, (learns, hard) in METHODS.items():
        distillation = DistillationRun(
            blueprint.build(PLANS["student"], seed=seed), lambda other: blueprint.build(PLANS["student"], seed=other),
            network_teacher(network()), SoftTargets(hard=hard), (), drifting_splits(splits, change, count, seed),
            SETTINGS, seed, COMPUTE, augment, title=f"distill: {change}, {method}", teacher_network=network,
        )  # fmt: skip
        for window, row in enumerate(stream(distillation, windows=windows, teacher_learns=learns).along_the_way):
            assert row.score_teacher
            append(
                "drift",
                {
                    "change": change,
                    "way": method,
                    "seed": seed,
                    "window": window,
                    "of": windows,
                    "samples": count // windows // SETTINGS.batch_size * SETTINGS.batch_size,
                    "student_accuracy": round(row.score.value or 0, 2),
                    "teacher_accuracy": round(row.score_teacher.value or 0, 2),
                },
                keep=keep,
            )


def main() -> None:
    """Train on the stream of each change with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="one seed and a shorter stream, of a minute")
    arguments = parser.parse_args()
    plan = (5_120, 10, 4) if arguments.quick else (20_480, 20, 15)
    for seed in arguments.seeds[:1] if arguments.quick else arguments.seeds:
        for change in CHANGES:
            run(change, seed, plan, keep=not arguments.quick)


if __name__ == "__main__":
    main()
