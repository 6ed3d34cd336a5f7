"""The networks and trainings of claims/hinton_mnist.py, in full and for a quick run."""

from dataclasses import dataclass, replace
from typing import Any

from edgekd.config import Training


@dataclass(frozen=True)
class Plan:
    """The networks, their trainings, and the build.

    Attributes:
        big, small: the options of the model mlp.
        shift: the pixels by which the images of the distilled nets are jittered, for the teacher's outputs too. In the
            paper only the training of the teacher is jittered.
        keep: the share of the small net's parameters that pruning keeps, so that int8 takes a tenth of its bytes.
        build: the settings of the build that prunes and quantises.
    """

    data: dict[str, Any]
    big: dict[str, Any]
    small: dict[str, Any]
    teacher_training: Training
    baseline_training: Training
    jittered_training: Training
    distillation_training: Training
    temperature: float
    hard: float
    shift: int
    keep: float
    build: dict[str, Any]


PAPER = Plan(
    data={"name": "idx", "validation": 0.02},
    big={"hidden": [1200, 1200], "dropout": 0.25, "max_norm": 5.0},
    small={"hidden": [800, 800]},
    teacher_training=Training(epochs=100, batch_size=256, learning_rate=0.1, weight_decay=0.0, precision="bf16"),
    baseline_training=Training(epochs=60, batch_size=256, learning_rate=0.1, weight_decay=0.0, precision="bf16"),
    jittered_training=Training(epochs=80, batch_size=256, learning_rate=0.1, weight_decay=0.0, precision="bf16"),
    distillation_training=Training(
        epochs=80, batch_size=256, learning_rate=0.05, weight_decay=0.0, precision="bf16", clip_norm=5.0
    ),
    temperature=20.0,
    hard=0.1,
    shift=1,
    keep=0.38,
    build={
        "prune.epochs": 128,
        "prune.steps": 1,
        "prune.learning_rate": 0.05,
        "prune.weight_decay": 0.0,
        "prune.clip_norm": 5.0,
        "prune.precision": "bf16",
        "quantize.epochs": 8,
    },
)
QUICK = replace(
    PAPER,
    data={"name": "digits"},
    shift=1,
    big={"hidden": [120, 120], "max_norm": 3.0},
    small={"hidden": [40, 40]},
    teacher_training=Training(epochs=40),
    baseline_training=Training(epochs=40),
    jittered_training=Training(epochs=40),
    distillation_training=Training(epochs=40, learning_rate=0.05, clip_norm=5.0),
    build={"prune.epochs": 4, "prune.steps": 1, "quantize.epochs": 2},
)
