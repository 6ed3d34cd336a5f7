"""Every method of distillation on one student and one budget, and the same student without a teacher.

python -m benchmarks.claims.methods --root DIR --checkpoint resnet56-4bfd9763.th
python -m benchmarks.claims.methods --quick        the digits, a teacher trained on the spot, one seed; nothing is kept

Writes results/methods.csv, a row a method and seed, each trained in a fresh process, from the same first weights on
the same batches. The teacher runs in the loop. Then steps are timed that take turns with steps of the plain student:
once with the teacher running, and once with its outputs at hand, which leaves what the loss itself costs. Peak memory
is that of the whole process on a CPU, of torch's tensors on a GPU. Weights are those of the papers, or customary ones.
A row without an accuracy is of a training that diverged.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.support.paths import CONFIGS
from benchmarks.support.record import append
from benchmarks.support.step_cost import costs
from edgekd import catalog
from edgekd.config import Config, Distill
from edgekd.config.resolve import configure
from edgekd.data.splits import Splits
from edgekd.distillation.losses.total import total_loss
from edgekd.distillation.run import DistillationRun, learn, network_teacher
from edgekd.errors import TrainingError
from edgekd.nn import blueprint
from edgekd.nn.checkpoint import load_checkpoint
from edgekd.stages.data import examine
from edgekd.stages.teacher import train
from edgekd.training.evaluate import count_parameters, scores

CIFAR10 = CONFIGS / "cifar10.toml"
LABELS = {"name": "labels"}
METHODS: dict[str, list[dict[str, Any]]] = {
    "no teacher": [],
    "logits": [{"name": "logits", "temperature": 4, "hard": 0.1}],
    "logits, no labels": [{"name": "logits", "temperature": 4, "hard": 0}],
    "standardised": [{"name": "standardised", "weight": 9}, {**LABELS, "weight": 0.1}],
    "dkd": [{"name": "dkd"}, LABELS],
    "dist": [{"name": "dist", "inter": 2, "intra": 2, "temperature": 4}, LABELS],
    "hints": [{"name": "hints", "weight": 100}, LABELS],
    "attention": [{"name": "attention", "weight": 1000}, LABELS],
    "patient": [{"name": "patient", "weight": 100}, LABELS],
    "crd": [{"name": "crd", "weight": 0.8}, LABELS],
    "rkd": [{"name": "rkd"}, LABELS],
    "similarity": [{"name": "similarity", "weight": 3000}, LABELS],
    "gram": [{"name": "gram", "weight": 1}, LABELS],
    "correlation": [{"name": "correlation", "weight": 100}, LABELS],
    "logits + attention": [{"name": "logits"}, {"name": "attention", "weight": 1000}],
    "logits + crd": [{"name": "logits"}, {"name": "crd", "weight": 0.8}],
}
FOR_WORDS = {"embedding", "attention_maps", "hidden"}  # losses for layers that a student of images lacks
CLIP_NORM = 5.0  # of all methods alike: at the customary weight of hints the first steps are far too large
MB = 1e6


def distillation_for(arguments: argparse.Namespace, losses: list[dict[str, Any]], seed: int) -> DistillationRun:
    """Return the distillation, or without losses the training on labels, from the same weights and data."""
    config = config_for(arguments, seed)
    splits = examine(config).splits
    settings = Distill.model_validate(
        {
            "losses": losses or [LABELS],
            "clip_norm": CLIP_NORM,
            **{name: getattr(arguments, name) for name in ("epochs", "batch_size", "learning_rate", "precision")},
        }
    )

    def fresh(seed: int) -> nn.Module:
        plan = blueprint.Blueprint(arguments.student, blueprint.fill_options(arguments.student, {}, splits))
        return blueprint.build(plan, seed=seed)

    baseline = DistillationRun(
        fresh(seed), fresh, None, None, (), splits, settings, seed, config.compute, config.data.augment
    )  # fmt: skip
    if not losses:
        return baseline
    network = teacher_network(arguments, splits)
    torch.manual_seed(seed)
    loss = total_loss(settings.losses)
    loss.connect(baseline.student, network, splits)
    teacher = network_teacher(network, settings.precision, loss.teacher_layers)
    return replace(baseline, teacher=teacher, loss=loss, layers=loss.student_layers)


def config_for(arguments: argparse.Namespace, seed: int) -> Config:
    """Return the config with the data and its augmentation."""
    settings: dict[str, Any] = {"seed": seed, "compute.accelerator": arguments.accelerator}
    if arguments.quick:
        return configure("rpi4", None, settings)
    return configure(
        "rpi4", CIFAR10, {**settings, "data.root": str(arguments.root.resolve()), "data.limit": arguments.samples}
    )


def teacher_network(arguments: argparse.Namespace, splits: Splits) -> nn.Module:
    """Return the teacher with the weights of the checkpoint."""
    plan = blueprint.Blueprint(arguments.teacher, blueprint.fill_options(arguments.teacher, {}, splits))
    network = blueprint.build(plan)
    load_checkpoint(network, arguments.checkpoint)
    return network


def run(arguments: argparse.Namespace, method: str, seed: int) -> dict[str, Any]:
    """Train one student by one method, and time its steps."""
    distillation = distillation_for(arguments, METHODS[method], seed)
    device = "cpu"
    accuracies: dict[str, float | None] = {"accuracy": None, "validation_accuracy": None}
    try:
        device = learn(distillation).device
        metrics = scores(distillation.student, distillation.splits, device=device, title="distill")
        accuracies = {
            "accuracy": round(metrics["score"], 2),
            "validation_accuracy": round(metrics["validation_score"], 2),
        }
    except TrainingError as error:
        print(error, file=sys.stderr)
    peak = torch.cuda.max_memory_allocated() if device != "cpu" else _resident()
    return {
        **accuracies,
        **costs(
            distillation_for(arguments, [], seed),
            distillation_for(arguments, METHODS[method], seed),
            arguments.batch_size,
            device,
        ),
        "extra_parameters": count_parameters(distillation.loss) if distillation.loss is not None else 0,
        "peak_memory_mb": round(peak / MB, 1),
        "epochs": arguments.epochs,
        "samples": len(distillation.splits.train),
    }


def quick_teacher(folder: Path) -> Path:
    """Train a ResNet-20 on the digits, and return its checkpoint."""
    config = configure("rpi4")
    splits = examine(config).splits
    network = blueprint.build(blueprint.Blueprint("resnet20", blueprint.fill_options("resnet20", {}, splits)))
    settings = config.teacher.model_copy(update={"epochs": 5})
    train(network, splits, settings, seed=0, compute=config.compute, augment=config.data.augment)
    torch.save(network.state_dict(), folder / "teacher.pt")
    return folder / "teacher.pt"


def in_a_fresh_process(arguments: argparse.Namespace, method: str, seed: int) -> dict[str, Any]:
    """Call `run` in a fresh process, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.claims.methods", "--one", method, "--seeds", str(seed)]
    for name in ("checkpoint", "student", "teacher", "samples", "epochs", "batch_size", "learning_rate", "precision"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    command += [
        "--accelerator",
        arguments.accelerator,
        *(["--quick"] if arguments.quick else ["--root", str(arguments.root)]),
    ]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit(f"{method}, seed {seed}: exit code {process.returncode}")
    row: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return row


def main() -> None:
    """Train all methods, seed by seed."""
    arguments = parse_arguments()
    if arguments.one:
        print(json.dumps(run(arguments, arguments.one, arguments.seeds[0])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.quick:
            arguments.checkpoint = arguments.checkpoint or quick_teacher(Path(scratch))
        for seed in arguments.seeds:
            for method in arguments.methods:
                row = in_a_fresh_process(arguments, method, seed)
                data = "digits" if arguments.quick else "cifar10"
                budget = {name: getattr(arguments, name) for name in ("batch_size", "learning_rate", "precision")}
                networks = {"data": data, "student": arguments.student, "teacher": arguments.teacher}
                losses = json.dumps(METHODS[method])
                row = {"method": method, "seed": seed, **row, **budget, **networks, "losses": losses}
                append("methods", row, keep=not arguments.quick)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line; --quick sets a smaller budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of CIFAR-10")
    parser.add_argument("--checkpoint", type=Path, help="of the teacher")
    parser.add_argument("--student", default="resnet8")
    parser.add_argument("--teacher", help="resnet56; resnet20 with --quick")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", help="0 1 2; 0 with --quick")
    parser.add_argument("--samples", type=int, help="10000; all of the digits' with --quick")
    parser.add_argument("--epochs", type=int, help="10; 3 with --quick")
    parser.add_argument("--batch-size", type=int, help="128; 64 with --quick")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--precision", choices=("32", "bf16"), help="bf16; 32 with --quick")
    parser.add_argument("--accelerator", default="cpu", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--quick", action="store_true", help="a few minutes, without any data set or checkpoint")
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    defaults = {"teacher": "resnet56", "seeds": [0, 1, 2], "samples": 10000, "epochs": 10, "batch_size": 128}
    quick_defaults = {"teacher": "resnet20", "seeds": [0], "samples": 1222, "epochs": 3, "batch_size": 64}
    values = {**quick_defaults, "precision": "32"} if arguments.quick else {**defaults, "precision": "bf16"}
    for name, value in values.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if not arguments.quick and not (arguments.root and arguments.checkpoint):
        parser.error("--root and --checkpoint, or --quick")
    names = {loss["name"] for losses in METHODS.values() for loss in losses} | FOR_WORDS
    if missing := set(catalog.LOSSES) - names:
        sys.exit(f"the catalog has losses that METHODS lacks: {', '.join(sorted(missing))}")
    return arguments


def _resident() -> int:
    """Return the peak memory of this process in bytes; Linux reports kB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    main()
