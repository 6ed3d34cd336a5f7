"""Small data and networks for the tests of training, with which nothing takes longer than a moment."""

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
    """Two classes of images, (1, size, size) uint8: horizontal and vertical stripes under noise."""
    chance = np.random.default_rng(seed)

    def split(n: int) -> Split:
        y = np.arange(n) % 2
        rows = np.where(np.arange(size) % 2, 180, 40)
        pattern = np.stack([np.tile(rows[:, None], (1, size)), np.tile(rows[None, :], (size, 1))])
        x = pattern[y] + chance.integers(-noise, noise + 1, (n, size, size))
        return Split(x[:, None].clip(0, 255).astype(np.uint8), y.astype(np.int64))

    return Splits(split(count), split(32), split(32), ("rows", "columns"), (0.43,), (0.3,))


def striped() -> dict[str, Any]:
    """The stripes as a data set that a config can name: "support.small_training:striped"."""
    found = stripes(noise=110)
    parts = {name: getattr(found, name) for name in ("train", "validation", "test")}
    return {"classes": list(found.classes), **{name: (split.x, split.y) for name, split in parts.items()}}


class Tiny(nn.Module):
    """Convolution, batch norm, dropout and a linear layer; a user's model to edgekd."""

    def __init__(self, classes: int = 2, width: int = 4, input_shape: tuple[int, ...] = (1, 8, 8)) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def tiny(seed: int, **options: int) -> nn.Module:
    """A Tiny whose weights depend on the seed alone."""
    return blueprint.build(blueprint.Blueprint("support.small_training:Tiny", options), seed=seed)


class Way(nn.Module):
    """A loss of consecutive layers, which takes two pairs or more."""

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
    """Without batch norm, so that it does not matter how a batch is shared out."""
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), classes))


def swished(classes: int = 2, input_shape: tuple[int, ...] = (1, 8, 8)) -> nn.Module:
    """With a hard-swish inside."""
    convolution = nn.Conv2d(input_shape[0], 4, 3, padding=1)
    return nn.Sequential(convolution, nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


def store_answers(answers: np.ndarray, folder: Path) -> Path:
    """A teacher's stored answers, (samples, *answer shape), which hold for every view."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "000-00000.npy", answers.astype(np.float16), allow_pickle=False)
    samples, *shape = answers.shape
    save_index(folder, Index(1, 0, True, samples, tuple(shape), samples, {}))
    return folder


class Killed(Exception):
    """Stands in for a kill."""


@contextmanager
def killed_after(states: int) -> Iterator[None]:
    """A block that ends as soon as so many states of trainings have been kept in it, and is expected to."""
    keep, count = resume.save_state, iter(range(1, 1000))

    def keep_until_killed(path: Path | None, state: resume.State) -> None:
        keep(path, state)
        if next(count) == states:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(resume, "save_state", keep_until_killed)
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
    """A distillation as small as can be; `loss` is connected already where it looks inside."""
    layers = getattr(loss, "student_layers", ())
    return DistillationRun(
        student, tiny, teacher, loss, layers, splits, settings or Training(epochs=1, batch_size=16),
        seed=0, compute=CPU, checkpoint=checkpoint, teacher_network=teacher_network,
    )  # fmt: skip
