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

from benchmarks.support.builds import built
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
"""Seeds of the big nets that answer as one."""

VIEWS = 16
"""Of the jittered images, which the big nets are asked about once, and which the epochs take in turn."""

RAISED = np.arange(0, 12.01, 0.1)
"""What may be added to its logit; the paper added 3.5."""


@dataclass(frozen=True)
class Bench:
    """One run of the script: the data, the plan and the folder that keeps the nets."""

    plan: Plan
    splits: Splits
    root: Path | None
    work: Path
    record: Callable[..., None]

    def net(self, name: str, options: dict[str, Any], seed: int, fit: Callable[[nn.Module, Path], FitResult]) -> Path:
        """The weights of a net, trained once by `fit`(net, its checkpoint)."""
        file = self.work / f"{name}-{seed}.pt"
        if not file.exists():
            network = blueprint.build(self._blueprint(options), seed=seed)
            unfinished = file.with_suffix(".ckpt")
            fit(network, unfinished)
            torch.save(network.state_dict(), file)
            unfinished.unlink(missing_ok=True)
        return file

    def load(self, file: Path, options: dict[str, Any]) -> nn.Module:
        """A net with the weights that `net` kept."""
        network = blueprint.build(self._blueprint(options))
        load_checkpoint(network, file)
        return network.eval()

    def _blueprint(self, options: dict[str, Any]) -> Blueprint:
        return Blueprint("mlp", blueprint.fill_options("mlp", options, self.splits))

    def errors(self, network: nn.Module, part: str = "test", raised: float = 0.0) -> int:
        """Wrong answers on a part, once `raised` is added to the logit of the missing class."""
        split: Split = getattr(self.splits, part)
        found = answers_of(network, split, self.splits)
        found[:, MISSING] += raised
        return int((found.argmax(1) != split.y).sum())

    def big(self, seed: int) -> Path:
        """One of the teachers."""

        def fit(network: nn.Module, unfinished: Path) -> FitResult:
            return train(
                network, self.splits, self.plan.teaching, seed=seed, compute=Compute(),
                augment=Augment(shift=TEACHERS_SHIFT), checkpoint=unfinished, title="big",
            )  # fmt: skip

        return self.net("big", self.plan.big, seed, fit)

    def teacher(self) -> Teacher:
        """All of them as one."""
        nets = [self.load(self.big(seed), self.plan.big) for seed in TEACHERS]
        return combine_teachers(
            [network_teacher(net, self.plan.distilling.precision) for net in nets], self.splits.task, COMBINE
        )

    def small(self, name: str, seed: int, teacher: StoredAnswers | None, splits: Splits) -> Path:
        """The student, with a teacher or without; "small" alone has its images as they are."""
        loss = SoftTargets(self.plan.temperature, self.plan.hard) if teacher else None
        alone = self.plan.alone if name == "small" else self.plan.jittered
        settings = self.plan.distilling if teacher else alone
        augment = Augment(shift=self.shift_of(name))

        def fit(network: nn.Module, unfinished: Path) -> FitResult:
            run = DistillationRun(
                network, lambda seed: network, teacher, loss, (), splits, settings, seed, Compute(),
                augment, views_of(teacher.folder if teacher else None), checkpoint=unfinished, title=name,
            )  # fmt: skip
            return learn(run)

        return self.net(name, self.plan.small, seed, fit)

    def shift_of(self, name: str) -> int:
        """Pixels by which a net's images are jittered."""
        return 0 if name == "small" else TEACHERS_SHIFT if name.startswith("big") else self.plan.shift

    def answers(self, name: str, splits: Splits) -> StoredAnswers:
        """The teacher's, to VIEWS views of the jittered images, or to the images as they are."""
        folder, augment = self.work / f"answers-{name}", Augment(shift=self.plan.shift)
        if not (folder / "answers.json").exists():
            folder.mkdir(exist_ok=True)
            still = augment == Augment()
            write(folder, self.teacher(), splits, Views(0, 1 if still else VIEWS), augment, any_view=still)
        return StoredAnswers(folder, splits)

    def int8(self, student: Path, seed: int) -> None:
        """The distilled net, pruned and quantised by one build from its weights."""
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
            "prune.of": "parameters", "prune.keep": plan.keep, "prune.batch_size": plan.distilling.batch_size,
            "quantize.batch_size": plan.distilling.batch_size,
            "limits.score_drop": 100.0,
            "profile.rounds": 1, "seed": 0,
            **plan.build,
        }  # fmt: skip
        pairs = (f"{name}={toml.value(value)}" for name, value in settings.items())
        report, _ = built(None, pairs, self.work / f"build-{seed}", self.work / "store")
        accuracy = {row.name: row.score.value for row in report.boundaries}["litert"]
        size = {row.path: row.size_bytes for row in report.files}["model.tflite"]
        errors = round((100 - (accuracy or 0.0)) / 100 * len(self.splits.test))
        differing = sum(row.differing or 0 for row in report.boundaries if row.name in ("litert", "onnxruntime"))
        self.record(
            variant="distilled-int8", seed=seed, test_errors=errors, size_bytes=size, outputs_differing=differing
        )

    def show(self, variant: str, seed: int, network: nn.Module, raised: float = 0.0) -> None:
        """One row of a float net."""
        size = 4 * count_parameters(network)
        self.record(variant=variant, seed=seed, test_errors=self.errors(network, raised=raised), size_bytes=size)

    def show_teacher(self) -> None:
        """Its row."""
        found = teacher_answers(self.teacher(), self.splits.test, self.splits, "big-ensemble")
        errors = int((found.argmax(1) != self.splits.test.y).sum())
        sizes = [4 * count_parameters(self.load(self.big(seed), self.plan.big)) for seed in TEACHERS]
        self.record(variant="big-ensemble", seed=0, test_errors=errors, size_bytes=sum(sizes))

    def run(self, seeds: list[int]) -> None:
        """What the claim is about for all seeds, then the rest."""
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
            blind = self.load(self.small("no-threes", seed, self.answers("no-threes", partial), partial), plan.small)
            self.show("no-threes", seed, blind)
            raised = min(RAISED, key=lambda by: self.errors(blind, "validation", by))
            self.show("no-threes-bias", seed, blind, float(raised))


def without(splits: Splits, label: int) -> Splits:
    """The same data, but nothing of one class is left to learn from."""
    left = splits.train.y != label
    return replace(splits, train=Split(splits.train.x[left], splits.train.y[left]))


def main() -> None:
    """Train what is missing, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="the folder of MNIST's four files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("build/hinton_mnist"))
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    if not asked.quick and not asked.root:
        parser.error("--root, or --quick for the built-in digits")
    plan = QUICK if asked.quick else PAPER
    root = None if asked.quick else asked.root.resolve()
    config = Config.model_validate({"data": {**plan.data, "root": root, "augment": {}}})
    work = asked.work.resolve() / ("quick" if asked.quick else "paper")
    work.mkdir(parents=True, exist_ok=True)

    def record(**row: Any) -> None:
        ordered = {
            **{name: row[name] for name in ("variant", "seed", "test_errors", "size_bytes")},
            "shift": bench.shift_of(row["variant"]),
            "outputs_differing": row.get("outputs_differing", ""),
        }
        append("hinton_mnist", ordered, keep=not asked.quick)

    bench = Bench(plan, examine(config).splits, root, work, record)
    bench.run(asked.seeds)


if __name__ == "__main__":
    main()
