"""Small data and networks for fast tests of training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from edgekd.config import Compute, Training
from edgekd.data.splits import Split, Splits
from edgekd.distillation.run import DistillationRun, Teacher
from edgekd.distillation.teachers.answers import Index, save_index
from edgekd.errors import ConfigError
from edgekd.nn import blueprint
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs
from edgekd.training import resume

CPU = Compute(accelerator="cpu", threads=1)


def stripes(count: int = 96, size: int = 8, seed: int = 0, noise: int = 40) -> Splits:
    """Return two classes of images, (1, size, size) uint8: horizontal and vertical stripes with noise."""
    chance = np.random.default_rng(seed)

    def split(n: int) -> Split:
        y = np.arange(n) % 2
        rows = np.where(np.arange(size) % 2, 180, 40)
        pattern = np.stack([np.tile(rows[:, None], (1, size)), np.tile(rows[None, :], (size, 1))])
        x = pattern[y] + chance.integers(-noise, noise + 1, (n, size, size))
        return Split(x[:, None].clip(0, 255).astype(np.uint8), y.astype(np.int64))

    return Splits(split(count), split(32), split(32), ("rows", "columns"), (0.43,), (0.3,))


def stripe_data() -> dict[str, Any]:
    """Return the stripes as a data set that a config can name: "support.small_training:stripe_data"."""
    splits = stripes(noise=110)
    parts = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    return {"classes": list(splits.classes), **{name: (split.x, split.y) for name, split in parts.items()}}


class Tiny(nn.Module):
    """A user's model with convolution, batch norm, dropout and a linear layer."""

    def __init__(self, classes: int = 2, width: int = 4, input_shape: tuple[int, ...] = (1, 8, 8)) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def tiny(seed: int, **options: int) -> nn.Module:
    """Build a Tiny whose weights depend on the seed alone."""
    return blueprint.build(blueprint.Blueprint("support.small_training:Tiny", options), seed=seed)


class ConsecutivePairs(nn.Module):
    """A loss on consecutive layers, which needs two pairs or more."""

    def __init__(self, layers: Sequence[str] | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        self.pairs = networks.pairs(self.layers, "way")
        if len(self.pairs) < 2:
            raise ConfigError("loss 'way' takes two pairs or more", "more layers")

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        return student.logits.square().mean()


def linear(classes: int = 2, input_shape: tuple[int, ...] = (1, 8, 8)) -> nn.Module:
    """Return a network without batch norm, whose result does not depend on how processes share a batch."""
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), classes))


def hard_swish_network(classes: int = 2, input_shape: tuple[int, ...] = (1, 8, 8)) -> nn.Module:
    """Return a network with a hard-swish."""
    convolution = nn.Conv2d(input_shape[0], 4, 3, padding=1)
    return nn.Sequential(convolution, nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


def store_answers(answers: np.ndarray, folder: Path) -> Path:
    """Store a teacher's outputs, (samples, *answer shape), which are the same for every view."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "000-00000.npy", answers.astype(np.float16), allow_pickle=False)
    samples, *shape = answers.shape
    save_index(folder, Index(1, 0, True, samples, tuple(shape), samples, {}))
    return folder


class Killed(Exception):
    """The exception that simulates a killed process."""


@contextmanager
def stop_after(states: int) -> Iterator[None]:
    """Raise Killed in the block once so many states of trainings are saved, and expect that."""
    save, count = resume.save_state, iter(range(1, 1000))

    def save_until_stopped(path: Path | None, state: resume.State) -> None:
        save(path, state)
        if next(count) == states:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(resume, "save_state", save_until_stopped)
        yield


def small_run(
    student: nn.Module,
    teacher: Teacher | None,
    loss: nn.Module | None,
    splits: Splits,
    settings: Training | None = None,
    checkpoint: Path | None = None,
    teacher_network: Callable[[], nn.Module] | None = None,
) -> DistillationRun:
    """Return a small distillation; a `loss` on inner layers must be connected already."""
    layers = getattr(loss, "student_layers", ())
    return DistillationRun(
        student, tiny, teacher, loss, layers, splits, settings or Training(epochs=1, batch_size=16),
        seed=0, compute=CPU, checkpoint=checkpoint, teacher_network=teacher_network,
    )  # fmt: skip
