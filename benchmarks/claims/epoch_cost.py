"""What a teacher costs an epoch of its student: its answers stored, and a ResNet-56 running in the loop.

python -m benchmarks.claims.epoch_cost --root DIR --checkpoint resnet56-4bfd9763.th
python -m benchmarks.claims.epoch_cost --quick

An epoch of ResNet-8 on shifted and flipped CIFAR-10 (random images of that shape without --root) is timed three ways:
plain, on the labels alone; under stored answers; and with the teacher in the loop. Each time is of the second epoch in
a fresh process, and the three take turns. Targets, by the medians of the rounds: stored / plain at most 1.15, loop /
stored at least 3. Writes results/epoch_cost.csv, a row a round.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.support.record import append
from edgekd.config import Augment, Compute, Config, Training
from edgekd.data.batches import Views
from edgekd.data.splits import Split, Splits
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import DistillationRun, Teacher, learn
from edgekd.distillation.teachers.answer_cache import write
from edgekd.distillation.teachers.answers import views_of
from edgekd.distillation.teachers.load import load_teacher, open_teacher
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.checkpoint import load_checkpoint
from edgekd.stages.data import examine

WAYS = ("plain", "stored", "loop")
AUGMENT = Augment(shift=4, flip=True)
VIEWS = Views(seed=0, count=1)


def prepare(folder: Path, arguments: argparse.Namespace) -> float:
    """Write data, teacher and its outputs for one view to `folder`; return the seconds that storing them took."""
    splits = random_images(arguments.samples)
    if arguments.root:
        data = {"name": "cifar10", "root": arguments.root, "limit": arguments.samples}
        splits = examine(Config.model_validate({"data": data})).splits
    splits.save(folder / "data")
    plan = Blueprint("resnet56", {"classes": 10, "input_shape": [3, 32, 32]})
    teacher = blueprint.build(plan, seed=0)
    if arguments.checkpoint:
        load_checkpoint(teacher, arguments.checkpoint)
    blueprint.save(teacher, plan, folder / "teacher" / "model")
    (folder / "answers").mkdir()
    start = time.perf_counter()
    with torch.no_grad():
        write(folder / "answers", load_teacher(folder / "teacher", splits, arguments.precision), splits, VIEWS, AUGMENT)
    return time.perf_counter() - start


def random_images(samples: int) -> Splits:
    """Return random images in the shape of CIFAR-10."""
    chance = np.random.default_rng(0)

    def split(count: int) -> Split:
        x = chance.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        return Split(x, np.arange(count, dtype=np.int64) % 10)

    return Splits(split(samples), split(10), split(10), tuple("0123456789"), (0.5,) * 3, (0.25,) * 3)


def epoch_seconds(way: str, folder: Path, arguments: argparse.Namespace) -> float:
    """Time the second epoch of a training in this process; the first warms up caches and allocators."""
    splits, answers = Splits.load(folder / "data"), folder / "answers"
    teacher: Teacher | None = None
    if way != "plain":
        folder_of_answers = answers if way == "stored" else None
        teacher = open_teacher(folder / "teacher", splits, arguments.precision, answers=folder_of_answers)
    student = blueprint.build(Blueprint("resnet8", {"classes": 10, "input_shape": [3, 32, 32]}), seed=0)
    starts: list[float] = []

    def note(_: nn.Module, epoch: int) -> None:
        starts.append(time.perf_counter())

    run = DistillationRun(
        student, lambda seed: student, teacher, None if teacher is None else SoftTargets(), (), splits,
        Training(epochs=2, batch_size=arguments.batch_size, precision=arguments.precision), seed=0, compute=Compute(),
        augment=AUGMENT, views=views_of(answers) if way == "stored" else None,
    )  # fmt: skip
    learn(run, note)
    return time.perf_counter() - starts[1]


def in_fresh_process(way: str, folder: Path) -> float:
    """Run this script in a fresh process for one way."""
    command = [sys.executable, "-m", "benchmarks.claims.epoch_cost", *sys.argv[1:]]
    command = [*command, "--way", way, "--folder", str(folder)]
    return float(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Time interleaved rounds, and record a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of CIFAR-10; random images by default")
    parser.add_argument("--checkpoint", type=Path, help="of the ResNet-56")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few samples, one round, no row")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.samples, arguments.rounds = min(arguments.samples, 384), 1
    if arguments.way:
        print(epoch_seconds(arguments.way, arguments.folder, arguments))
        return
    cost, gain = [], []
    with tempfile.TemporaryDirectory() as name:
        storing_s = prepare(Path(name), arguments)
        for number in range(arguments.rounds):
            seconds = {way: in_fresh_process(way, Path(name)) for way in WAYS}
            cost.append(seconds["stored"] / seconds["plain"])
            gain.append(seconds["loop"] / seconds["stored"])
            row = {
                "data": "cifar10" if arguments.root else "random images",
                "samples": arguments.samples,
                "batch_size": arguments.batch_size,
                "precision": arguments.precision,
                "round": number + 1,
                **{f"{way}_s": round(value, 3) for way, value in seconds.items()},
                "stored_to_plain": round(cost[-1], 3),
                "loop_to_stored": round(gain[-1], 2),
                "storing_a_view_s": round(storing_s, 2),
            }
            append("epoch_cost", row, keep=not arguments.quick)
    print(f"medians: stored {statistics.median(cost):.3f}x plain, loop {statistics.median(gain):.2f}x stored")


if __name__ == "__main__":
    main()
