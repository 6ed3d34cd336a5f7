"""Hinton, Vinyals and Dean (2015) on MNIST, with their own networks, and then on to a tenth of the bytes.

python -m benchmarks.claims.hinton_mnist --root MNIST [--seeds 0 1 2] [--work DIR] [--quick]

Test errors of 10,000 in the paper: the small net alone 146, the big one 67, the small one distilled 74; distilled
without having seen a 3 206, and 109 once the bias of class 3 is mended. Big: two hidden layers of 1,200, dropout,
weight constraint, images jittered by up to two pixels. Small: two of 800. The teacher here is `big-ensemble`, the
geometric mean of three big nets, and the distilled nets' images are jittered too; in the paper it is one net, and its
images alone. `small-jittered` shows what the jitter gives by itself. Every net's last epoch counts. The bias is chosen
on the validation part (the paper chose it on the test set).

Writes results/hinton_mnist.csv, a row a net. --work keeps what is trained, and the same command goes on there.
--quick takes the built-in digits, smaller nets and few epochs, and records nothing.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.support.builds import run_build
from benchmarks.support.hinton_recipe import PAPER, QUICK, Plan
from benchmarks.support.record import append
from edgekd.config import Augment, Compute, Config, toml
from edgekd.data.batches import Views
from edgekd.data.splits import Split, Splits
from edgekd.distillation.ensemble import combine_teachers
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import DistillationRun, Teacher, learn, network_teacher
from edgekd.distillation.teachers.answer_cache import write
from edgekd.distillation.teachers.answers import StoredAnswers, views_of
from edgekd.distillation.teachers.load import teacher_answers
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.checkpoint import load_checkpoint
from edgekd.stages.data import examine
from edgekd.stages.teacher import train
from edgekd.training.evaluate import answers_of, count_parameters
from edgekd.training.fit import FitResult

MISSING = 3
"""The class that the transfer set lacks."""

TEACHERS_SHIFT = 2
"""Pixels by which the big net's images are jittered."""

COMBINE = "geometric"

TEACHERS = (0, 1, 2)
"""The seeds of the big nets in the ensemble."""

VIEWS = 16
"""The number of jittered views with stored outputs of the big nets; the epochs use them in turn."""

BIASES = np.arange(0, 12.01, 0.1)
"""The biases that may be added to the logit of the missing class; the paper added 3.5."""


@dataclass(frozen=True)
class Bench:
    """One run of the script: the data, the plan and the folder that keeps the nets."""

    plan: Plan
    splits: Splits
    root: Path | None
    work: Path
    record: Callable[..., None]

    def net(self, name: str, options: dict[str, Any], seed: int, fit: Callable[[nn.Module, Path], FitResult]) -> Path:
        """Return the file of a net's weights; `fit`(net, checkpoint) trains it if there is none."""
        file = self.work / f"{name}-{seed}.pt"
        if not file.exists():
            network = blueprint.build(self._blueprint(options), seed=seed)
            checkpoint = file.with_suffix(".ckpt")
            fit(network, checkpoint)
            torch.save(network.state_dict(), file)
            checkpoint.unlink(missing_ok=True)
        return file

    def load(self, file: Path, options: dict[str, Any]) -> nn.Module:
        """Return a net with the weights that `net` has saved."""
        network = blueprint.build(self._blueprint(options))
        load_checkpoint(network, file)
        return network.eval()

    def _blueprint(self, options: dict[str, Any]) -> Blueprint:
        return Blueprint("mlp", blueprint.fill_options("mlp", options, self.splits))

    def errors(self, network: nn.Module, part: str = "test", bias: float = 0.0) -> int:
        """Count the errors on a part if `bias` is added to the logit of the missing class."""
        split: Split = getattr(self.splits, part)
        logits = answers_of(network, split, self.splits)
        logits[:, MISSING] += bias
        return int((logits.argmax(1) != split.y).sum())

    def big(self, seed: int) -> Path:
        """Return the weights of one of the teachers."""

        def fit(network: nn.Module, checkpoint: Path) -> FitResult:
            return train(
                network, self.splits, self.plan.teacher_training, seed=seed, compute=Compute(),
                augment=Augment(shift=TEACHERS_SHIFT), checkpoint=checkpoint, title="big",
            )  # fmt: skip

        return self.net("big", self.plan.big, seed, fit)

    def teacher(self) -> Teacher:
        """Return the ensemble of the teachers."""
        nets = [self.load(self.big(seed), self.plan.big) for seed in TEACHERS]
        return combine_teachers(
            [network_teacher(net, self.plan.distillation_training.precision) for net in nets], self.splits.task, COMBINE
        )

    def small(self, name: str, seed: int, teacher: StoredAnswers | None, splits: Splits) -> Path:
        """Return the weights of the student, with a teacher or without; only "small" has no jittered images."""
        loss = SoftTargets(self.plan.temperature, self.plan.hard) if teacher else None
        baseline = self.plan.baseline_training if name == "small" else self.plan.jittered_training
        settings = self.plan.distillation_training if teacher else baseline
        augment = Augment(shift=self.shift_of(name))

        def fit(network: nn.Module, checkpoint: Path) -> FitResult:
            run = DistillationRun(
                network, lambda seed: network, teacher, loss, (), splits, settings, seed, Compute(),
                augment, views_of(teacher.folder if teacher else None), checkpoint=checkpoint, title=name,
            )  # fmt: skip
            return learn(run)

        return self.net(name, self.plan.small, seed, fit)

    def shift_of(self, name: str) -> int:
        """Return the pixels by which a net's images are jittered."""
        return 0 if name == "small" else TEACHERS_SHIFT if name.startswith("big") else self.plan.shift

    def answers(self, name: str, splits: Splits) -> StoredAnswers:
        """Return the teacher's stored outputs for VIEWS views of the jittered images, or for the plain images."""
        folder, augment = self.work / f"answers-{name}", Augment(shift=self.plan.shift)
        if not (folder / "answers.json").exists():
            folder.mkdir(exist_ok=True)
            is_plain = augment == Augment()
            write(folder, self.teacher(), splits, Views(0, 1 if is_plain else VIEWS), augment, any_view=is_plain)
        return StoredAnswers(folder, splits)

    def int8(self, student: Path, seed: int) -> None:
        """Prune and quantise the distilled net by one build, and record a row."""
        plan = self.plan
        first, *others = ({"model": "mlp", "checkpoint": str(self.big(each)), **plan.big} for each in TEACHERS)
        settings = {
            **{f"data.{name}": value for name, value in plan.data.items()},
            **({"data.root": str(self.root)} if self.root else {}),
            "data.augment.shift": plan.shift,
            **{f"teacher.{name}": value for name, value in first.items()}, "teacher.also": others,
            "distill.combine": COMBINE, "distill.views": VIEWS,
            "student.model": "mlp", "student.checkpoint": str(student),
            **{f"student.{name}": value for name, value in plan.small.items()},
            "distill.epochs": 0,
            "distill.losses": [{"name": "logits", "temperature": plan.temperature, "hard": plan.hard}],
            "prune.of": "parameters", "prune.keep": plan.keep,
            "prune.batch_size": plan.distillation_training.batch_size,
            "quantize.batch_size": plan.distillation_training.batch_size,
            "limits.score_drop": 100.0,
            "profile.rounds": 1, "seed": 0,
            **plan.build,
        }  # fmt: skip
        pairs = (f"{name}={toml.value(value)}" for name, value in settings.items())
        report, _ = run_build(None, pairs, self.work / f"build-{seed}", self.work / "store")
        accuracy = {row.name: row.score.value for row in report.boundaries}["litert"]
        size = {row.path: row.size_bytes for row in report.files}["model.tflite"]
        errors = round((100 - (accuracy or 0.0)) / 100 * len(self.splits.test))
        differing = sum(row.differing or 0 for row in report.boundaries if row.name in ("litert", "onnxruntime"))
        self.record(
            variant="distilled-int8", seed=seed, test_errors=errors, size_bytes=size, outputs_differing=differing
        )

    def show(self, variant: str, seed: int, network: nn.Module, bias: float = 0.0) -> None:
        """Record the row of a float net."""
        size = 4 * count_parameters(network)
        self.record(variant=variant, seed=seed, test_errors=self.errors(network, bias=bias), size_bytes=size)

    def show_teacher(self) -> None:
        """Record the row of the ensemble."""
        logits = teacher_answers(self.teacher(), self.splits.test, self.splits, "big-ensemble")
        errors = int((logits.argmax(1) != self.splits.test.y).sum())
        sizes = [4 * count_parameters(self.load(self.big(seed), self.plan.big)) for seed in TEACHERS]
        self.record(variant="big-ensemble", seed=0, test_errors=errors, size_bytes=sum(sizes))

    def run(self, seeds: list[int]) -> None:
        """Train and record the distilled nets for all seeds, then the others."""
        plan = self.plan
        if 0 in seeds:
            for seed in TEACHERS:
                self.show("big", seed, self.load(self.big(seed), plan.big))
            self.show_teacher()
        whole, partial = self.splits, without(self.splits, MISSING)
        for seed in seeds:
            distilled = self.small("distilled", seed, self.answers("whole", whole), whole)
            self.show("distilled", seed, self.load(distilled, plan.small))
            self.int8(distilled, seed)
        for seed in seeds:
            for name in ("small", "small-jittered"):
                self.show(name, seed, self.load(self.small(name, seed, None, whole), plan.small))
            student = self.load(self.small("no-threes", seed, self.answers("no-threes", partial), partial), plan.small)
            self.show("no-threes", seed, student)
            bias = min(BIASES, key=lambda bias: self.errors(student, "validation", bias))
            self.show("no-threes-bias", seed, student, float(bias))


def without(splits: Splits, label: int) -> Splits:
    """Return the data without the training samples of one class."""
    rows = splits.train.y != label
    return replace(splits, train=Split(splits.train.x[rows], splits.train.y[rows]))


def main() -> None:
    """Train the nets that are not there yet, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="the folder of MNIST's four files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("build/hinton_mnist"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if not arguments.quick and not arguments.root:
        parser.error("--root, or --quick for the built-in digits")
    plan = QUICK if arguments.quick else PAPER
    root = None if arguments.quick else arguments.root.resolve()
    config = Config.model_validate({"data": {**plan.data, "root": root, "augment": {}}})
    work = arguments.work.resolve() / ("quick" if arguments.quick else "paper")
    work.mkdir(parents=True, exist_ok=True)

    def record(**row: Any) -> None:
        columns = {
            **{name: row[name] for name in ("variant", "seed", "test_errors", "size_bytes")},
            "shift": bench.shift_of(row["variant"]),
            "outputs_differing": row.get("outputs_differing", ""),
        }
        append("hinton_mnist", columns, keep=not arguments.quick)

    bench = Bench(plan, examine(config).splits, root, work, record)
    bench.run(arguments.seeds)


if __name__ == "__main__":
    main()
