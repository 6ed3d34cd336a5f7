"""The inputs and the results of a tool in the comparison."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekd.config import Augment, Quantize
from edgekd.data.splits import Splits
from edgekd.nn import blueprint
from edgekd.quantization.samples import calibration_samples

Simulate = Callable[[np.ndarray], np.ndarray]
"""From normalised inputs (N, *input shape) float32 to logits (N, classes), by the tool's own simulation of its file."""


@dataclass
class Clock:
    """Seconds spent converting (calibration included) and training; imports, data and evaluation count for neither."""

    convert_s: float = 0.0
    train_s: float = 0.0

    @contextmanager
    def converting(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.convert_s += time.perf_counter() - start

    @contextmanager
    def training(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.train_s += time.perf_counter() - start


@dataclass(frozen=True)
class Conversion:
    """The result of a tool.

    Attributes:
        file: the int8 file.
        simulate: the tool's own simulation of it; None if the tool has none, as `note` then says.
    """

    file: Path
    simulate: Simulate | None = None
    note: str = ""


@dataclass(frozen=True)
class Job:
    """One student, one tool, one mode.

    Attributes:
        folder: the student's folder with its blueprint in `model/` and its splits in `data/`.
        out: the folder for the file.
        mode: "qat" or "ptq".
        format: "tflite" or "onnx".
        quantize: the samples for calibration, and the training of "qat".
    """

    folder: Path
    out: Path
    mode: str
    format: str
    quantize: Quantize
    augment: Augment
    seed: int = 0
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def splits(self) -> Splits:
        return Splits.load(self.folder / "data")

    def student(self) -> nn.Module:
        """Load a new copy of the trained float network, in evaluation mode."""
        return blueprint.load(self.folder / "model")[0]

    @cached_property
    def calibration(self) -> np.ndarray:
        """The calibration samples of edgekd's own quantize stage, normalised: (N, *input shape)."""
        return np.concatenate(
            [x.numpy() for x in calibration_samples(self.splits, self.quantize.calibration, self.seed)]
        )

    @property
    def example(self) -> torch.Tensor:
        """One input, (1, *input shape): files are written for one sample at a time."""
        return torch.from_numpy(self.calibration[:1].copy())


def in_torch(model: nn.Module, batch: int = 1) -> Simulate:
    """Return a torch model as a simulation; a graph captured for one sample runs sample by sample."""

    def simulate(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            parts = [model(torch.from_numpy(x[start : start + batch])) for start in range(0, len(x), batch)]
        return torch.cat(parts).numpy()

    return simulate
