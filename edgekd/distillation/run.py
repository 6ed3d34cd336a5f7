"""One distillation as every scheme is given it: who learns what from whom, and how `learn` goes about it."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from edgekd.config import Augment, Compute, Training
from edgekd.data.batches import Batch, Views
from edgekd.data.splits import Splits
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs, answer
from edgekd.training.evaluate import channels_last
from edgekd.training.fit import FitResult, Step, fit

Teacher = Callable[[Batch], Outputs]


@dataclass(frozen=True)
class DistillationRun:
    """Attributes:
    student: what is trained, in place.
    fresh: seed -> another student of the same kind, untrained.
    teacher: batch -> outputs; None trains on the labels alone.
    loss: (student's outputs, teacher's, targets) -> a scalar; its own parameters learn too.
    layers: of the student, that the loss compares.
    views: the augmentation views that the teacher's answers are stored for; None draws afresh for each epoch.
    checkpoint: the file that keeps the state of the training; a scheme of several trainings puts its own beside it.
    title: shown with the progress.
    teacher_network: gives a copy of the teacher's torch network; None where the teacher is none (stored answers,
        a file of another runtime).
    connect: (student, teacher's network or None) -> the loss anew, its layers chosen for these two; None: the loss as
        it is serves any two.
    watch: (student, epochs done) is called after each epoch of `learn` but the last; what it raises ends the training.
    train: what `trained` calls; a rehearsal ends there.
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
    views: Views | None = None
    checkpoint: Path | None = None
    title: str = "distill"
    teacher_network: Callable[[], nn.Module] | None = None
    connect: Callable[[nn.Module, nn.Module | None], nn.Module] | None = None
    watch: Callable[[nn.Module, int], None] | None = None
    train: Callable[..., FitResult] = fit

    def checkpoint_named(self, name: str) -> Path | None:
        """A checkpoint for a further training of this distillation."""
        return None if self.checkpoint is None else self.checkpoint.with_name(f"{self.checkpoint.stem}-{name}.ckpt")

    def require(self, kind: str, scheme: str) -> None:
        """ConfigError where the scheme is made for another kind of answers than the task's."""
        self.splits.task.require(kind, f"scheme {scheme!r}", 'distill.scheme = "offline"')

    def required_teacher(self, scheme: str) -> tuple[Teacher, nn.Module]:
        """(teacher, loss) for a scheme that can't do without; ConfigError where there are none."""
        if self.teacher is None or self.loss is None:
            raise ConfigError(f"scheme {scheme!r} has no teacher to learn from", "a scheme that needs none: 'mutual'")
        return self.teacher, self.loss

    def open_teacher_network(self, scheme: str) -> nn.Module:
        """A copy of the teacher's network for a scheme that trains it or looks through it; ConfigError without one."""
        if self.teacher_network is None:
            raise ConfigError(
                f"scheme {scheme!r} needs the teacher as a torch network; this one gives its answers alone",
                'distill.scheme = "offline", or a teacher.model with its checkpoint',
            )
        return self.teacher_network()


def learn(run: DistillationRun, on_epoch: Callable[[nn.Module, int], None] | None = None) -> FitResult:
    """Train the student under the teacher by the loss; without them on the labels alone, by the task's loss on them."""

    def between(module: nn.Module, epoch: int) -> None:
        if run.watch is not None and epoch > 0:
            run.watch(run.student, epoch)
        if on_epoch is not None:
            on_epoch(module, epoch)

    parts = {"student": run.student} | ({} if run.loss is None else {"loss": run.loss})
    return trained(run, nn.ModuleDict(parts), partial(_step, run), on_epoch=between)


def trained(run: DistillationRun, module: nn.Module, step: Step, **others: Any) -> FitResult:
    """Train in the way of a distillation: its data, settings, seed and so on, where `others` does not say otherwise."""
    whole: dict[str, Any] = {
        "splits": run.splits, "settings": run.settings, "seed": run.seed, "compute": run.compute,
        "augment": run.augment, "views": run.views, "checkpoint": run.checkpoint, "title": run.title,
        **others,
    }  # fmt: skip
    return run.train(module, step, **whole)


def student_loss(
    run: DistillationRun, student: nn.Module, loss: nn.Module | None, batch: Batch
) -> tuple[Outputs, Tensor]:
    """(the student's outputs, the distillation's loss on them); `student` and `loss` are those under training."""
    answered = answer(student, batch.x, run.layers, batch.index)
    if run.teacher is None or loss is None:
        return answered, run.splits.task.answers.label_loss(answered.logits, batch.y)
    return answered, loss(answered, run.teacher(batch), batch.y)


def without_teacher(run: DistillationRun) -> DistillationRun:
    """The same distillation without its teacher."""
    return replace(run, teacher=None, teacher_network=None, loss=None, layers=(), views=None)


def with_teacher(run: DistillationRun, network: nn.Module) -> DistillationRun:
    """The same distillation with another torch network for a teacher, which is frozen; the loss is made anew for it."""
    loss = run.connect(run.student, network) if run.connect else copy.deepcopy(run.loss)
    return replace(
        run,
        teacher=frozen(network, run.settings.precision, getattr(loss, "teacher_layers", ())),
        teacher_network=lambda: network,
        loss=loss,
        views=None,
        layers=getattr(loss, "student_layers", ()),
    )


def with_student(run: DistillationRun, student: nn.Module, scheme: str) -> DistillationRun:
    """The same distillation, teacher and all, for a student of another kind; errors name `scheme`."""
    other = replace(run, student=student)
    if run.layers:
        return with_teacher(other, run.open_teacher_network(scheme))
    return replace(other, loss=copy.deepcopy(run.loss))


def frozen(model: nn.Module, precision: Literal["32", "bf16"] = "32", layers: Sequence[str] = ()) -> Teacher:
    """A network that answers and never learns; it follows the batches to their device."""
    model.eval().requires_grad_(False)

    def ask(batch: Batch) -> Outputs:
        device = batch.x.device
        model.to(device)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return answer(model, channels_last(batch.x), layers, batch.index)

    return ask


def in_sequence(results: Sequence[FitResult]) -> FitResult:
    """Trainings that followed one another, told as one."""
    return replace(
        results[-1],
        epochs=sum(result.epochs for result in results),
        losses=[loss for result in results for loss in result.losses],
        resumed_from=sum(result.resumed_from for result in results),
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
    )


def _step(run: DistillationRun, module: nn.ModuleDict, batch: Batch) -> Tensor:
    return student_loss(run, module["student"], dict(module.named_children()).get("loss"), batch)[1]
