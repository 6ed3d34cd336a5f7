"""One distillation as every scheme is given it: who learns what from whom, and how `learn` goes about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.config import Augment, Compute, Training
from edgekd.nn.batches import Batch
from edgekd.nn.fit import FitResult, fit
from edgekd.nn.outputs import Outputs, answer
from edgekd.nn.splits import Splits

Teacher = Callable[[Batch], Outputs]


@dataclass(frozen=True)
class Lesson:
    """Attributes:
    student: what is trained, in place.
    fresh: seed -> another student of the same kind, untrained.
    teacher: batch -> outputs; None trains on the labels alone.
    loss: (student's outputs, teacher's, labels) -> a scalar; its own parameters learn too.
    layers: of the student, that the loss compares.
    checkpoint: the file that keeps the state of the training; a scheme of several trainings puts its own beside it.
    title: shown with the progress.
    watch: (student, epochs done) is called after each epoch of `learn` but the last; what it raises ends the training.
    """

    student: nn.Module
    fresh: Callable[[int], nn.Module]
    teacher: Teacher | None
    loss: nn.Module | None
    layers: Sequence[str]
    splits: Splits
    settings: Training
    seed: int
    compute: Compute
    augment: Augment | None = None
    checkpoint: Path | None = None
    title: str = "distill"
    watch: Callable[[nn.Module, int], None] | None = None

    def beside(self, name: str) -> Path | None:
        """A checkpoint for a further training of this lesson."""
        return None if self.checkpoint is None else self.checkpoint.with_name(f"{self.checkpoint.stem}-{name}.ckpt")


def learn(lesson: Lesson, on_epoch: Callable[[nn.Module, int], None] | None = None) -> FitResult:
    """Train the student under the teacher by the loss; without them on the labels alone, by cross-entropy."""

    def between(module: nn.Module, epoch: int) -> None:
        if lesson.watch is not None and epoch > 0:
            lesson.watch(lesson.student, epoch)
        if on_epoch is not None:
            on_epoch(module, epoch)

    parts = {"student": lesson.student} | ({} if lesson.loss is None else {"loss": lesson.loss})
    return fit(
        nn.ModuleDict(parts), partial(_step, lesson), lesson.splits, lesson.settings, seed=lesson.seed,
        compute=lesson.compute, augment=lesson.augment, checkpoint=lesson.checkpoint, title=lesson.title,
        on_epoch=between,
    )  # fmt: skip


def _step(lesson: Lesson, module: nn.Module, batch: Batch) -> Tensor:
    answered = answer(module.get_submodule("student"), batch.x, lesson.layers, batch.index)
    if lesson.teacher is None or lesson.loss is None:
        return F.cross_entropy(answered.logits, batch.y)
    told: Tensor = module.get_submodule("loss")(answered, lesson.teacher(batch), batch.y)
    return told
