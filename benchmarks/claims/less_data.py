"""Half the data and a tenth of it: the same student with and without its teacher, on MNIST or CIFAR-10.

python -m benchmarks.claims.less_data mnist --root MNIST --teacher big-0.pt [--shares 1 0.5 0.1] [--seeds 0 1 2]
python -m benchmarks.claims.less_data cifar10 --root DIR --teacher resnet20-12fca82f.th
python -m benchmarks.claims.less_data --quick                         the digits, one seed, a few minutes

`alone` learns from the labels of a share of the training samples, `distilled` from the same samples and the teacher's
soft targets for them, `unlabelled` from soft targets for all samples and no label at all. The teacher has seen all
labels. All take as many steps, and the last one counts. Writes results/less_data.csv, a row a student. MNIST's teacher
is the big net that hinton_mnist.py leaves; the digits train their own and record nothing.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.support.record import append
from edgekd.config import Compute, Config, Training
from edgekd.data.splits import Splits
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import DistillationRun, Teacher, learn, network_teacher
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.checkpoint import load_checkpoint
from edgekd.stages.data import examine
from edgekd.stages.teacher import train
from edgekd.training.evaluate import scores

METHODS = ("alone", "distilled", "unlabelled")


@dataclass(frozen=True)
class Setting:
    """The settings of one data set.

    Attributes:
        data: the section `data` of the config.
        teacher, student: (model, options).
        training: the training on all samples; with fewer samples there are more epochs, so that the steps stay as many.
        temperature, hard: the options of the soft targets.
    """

    data: dict[str, Any]
    teacher: tuple[str, dict[str, Any]]
    student: tuple[str, dict[str, Any]]
    training: Training
    temperature: float = 4.0
    hard: float = 0.1


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SETTINGS = {
    "mnist": Setting(
        {"name": "idx", "validation": 0.02, "augment": {}},
        ("mlp", {"hidden": [1200, 1200], "dropout": 0.25, "max_norm": 5.0}),
        ("mlp", {"hidden": [800, 800]}),
        Training(epochs=20, batch_size=256, learning_rate=0.05, weight_decay=0.0, precision="bf16"),
        temperature=20.0,
    ),
    "cifar10": Setting(
        {"name": "cifar10", "augment": {"shift": 4, "flip": True}, **IMAGENET},
        ("resnet20", {}),
        ("resnet8", {}),
        Training(epochs=15, batch_size=128, precision="bf16"),
    ),
    "digits": Setting(
        {"name": "digits", "augment": {"shift": 1}},
        ("resnet20", {}),
        ("resnet8", {"width": 4}),
        Training(epochs=10),
    ),
}


def net(model: tuple[str, dict[str, Any]], splits: Splits, seed: int) -> nn.Module:
    """Build a model of the catalog for this data."""
    name, options = model
    return blueprint.build(Blueprint(name, blueprint.fill_options(name, options, splits)), seed=seed)


def teacher_of(setting: Setting, checkpoint: Path | None, config: Config, splits: Splits) -> nn.Module:
    """Load the teacher from its checkpoint, or train it here."""
    network = net(setting.teacher, splits, 0)
    if checkpoint:
        load_checkpoint(network, checkpoint)
    else:
        train(network, splits, setting.training, seed=0, compute=Compute(), augment=config.data.augment)
    return network


def student(
    method: str, setting: Setting, teacher: Teacher, few_splits: Splits, all_splits: Splits, config: Config
) -> nn.Module:
    """Train the student of one row."""
    splits = all_splits if method == "unlabelled" else few_splits
    epochs = round(setting.training.epochs * len(all_splits.train) / len(splits.train))
    network = net(setting.student, splits, config.seed)
    hard = 0.0 if method == "unlabelled" else setting.hard
    loss = None if method == "alone" else SoftTargets(setting.temperature, hard)
    learn(
        DistillationRun(
            network, lambda seed: net(setting.student, splits, seed), teacher if loss else None, loss, (), splits,
            setting.training.model_copy(update={"epochs": epochs}), config.seed, Compute(), config.data.augment,
            title=f"{method}, {len(few_splits.train)} labels",
        )
    )  # fmt: skip
    return network


def main() -> None:
    """Record a row for each seed, share and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=SETTINGS, nargs="?", default="digits")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--teacher", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.5, 0.1])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="the digits and one seed")
    arguments = parser.parse_args()
    data = "digits" if arguments.quick else arguments.data
    if data != "digits" and not (arguments.root and arguments.teacher):
        parser.error(f"{data} needs --root and --teacher")
    setting = SETTINGS[data]
    first = Config.model_validate({"data": {**setting.data, "root": arguments.root}})
    all_splits = examine(first).splits  # one split of the data for all: what the teacher saw stays training data
    teacher = network_teacher(teacher_of(setting, arguments.teacher, first, all_splits), setting.training.precision)
    for seed in arguments.seeds[:1] if arguments.quick else arguments.seeds:
        for share in arguments.shares:
            limit = round(share * len(all_splits.train))
            splits = examine(
                Config.model_validate({"data": {**setting.data, "root": arguments.root, "limit": limit}})
            ).splits
            few_splits = replace(splits, mean=all_splits.mean, std=all_splits.std)
            for method in arguments.methods:
                if method == "unlabelled" and share != min(arguments.shares):
                    continue  # it takes all samples, whatever the share of labels
                config = first.model_copy(update={"seed": seed})
                network = student(method, setting, teacher, few_splits, all_splits, config)
                metrics = scores(network.eval(), all_splits, title=method)
                row = {
                    "data": data, "method": method,
                    "share": 0.0 if method == "unlabelled" else share, "seed": seed,
                    "samples": len(all_splits.train if method == "unlabelled" else few_splits.train),
                    "accuracy": round(metrics["score"], 2), "test_samples": len(all_splits.test),
                }  # fmt: skip
                append("less_data", row, keep=data != "digits")


if __name__ == "__main__":
    main()
