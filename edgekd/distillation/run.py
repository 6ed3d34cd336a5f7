"""One distillation as every scheme receives it: student, teacher, loss and data, and the functions that train by it."""

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
    student: the network that is trained, in place.
    fresh: seed -> another student of the same kind, untrained.
    teacher: batch -> outputs; None trains on the labels alone.
    loss: (student's outputs, teacher's, targets) -> a scalar; its own parameters learn too.
    layers: names of the student's layers that the loss compares.
    views: the augmentation views that the teacher's answers are stored for; None draws afresh for each epoch.
    checkpoint: the file that holds the state of the training; a scheme of several trainings puts its own beside it.
    title: shown with the progress.
    teacher_network: returns a copy of the teacher's torch network; None where the teacher is no torch network (stored
        answers, a file of another runtime).
    connect: (student, teacher's network or None) -> a new loss, connected to the layers of these two; None where the
        loss compares answers alone, and so serves any two.
    watch: (student, number of finished epochs) is called after each epoch of `learn` but the last; an exception that it
        raises ends the training.
    train: the training loop that `train_module` calls; a rehearsal replaces it.
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

    def checkpoint_for(self, name: str) -> Path | None:
        """Return the file for the checkpoint of a further training of this distillation."""
        return None if self.checkpoint is None else self.checkpoint.with_name(f"{self.checkpoint.stem}-{name}.ckpt")

    def require(self, kind: str, scheme: str) -> None:
        """Raise ConfigError where the scheme is made for another kind of answers than the task's."""
        self.splits.task.require(kind, f"scheme {scheme!r}", 'distill.scheme = "offline"')

    def require_teacher(self, scheme: str) -> tuple[Teacher, nn.Module]:
        """Return (teacher, loss) for a scheme that needs both; ConfigError where there are none."""
        if self.teacher is None or self.loss is None:
            raise ConfigError(f"scheme {scheme!r} has no teacher to learn from", "a scheme that needs none: 'mutual'")
        return self.teacher, self.loss

    def open_teacher_network(self, scheme: str) -> nn.Module:
        """Return a copy of the teacher's network, for a scheme that trains it or needs its gradients or layers.

        Raises:
            ConfigError: the teacher is no torch network.
        """
        if self.teacher_network is None:
            raise ConfigError(
                f"scheme {scheme!r} needs the teacher as a torch network; this one gives its answers alone",
                'distill.scheme = "offline", or a teacher.model with its checkpoint',
            )
        return self.teacher_network()


def learn(run: DistillationRun, on_epoch: Callable[[nn.Module, int], None] | None = None) -> FitResult:
    """Train the student with the teacher by the loss; without them by the task's loss on the labels alone."""

    def before_epoch(module: nn.Module, epoch: int) -> None:
        if run.watch is not None and epoch > 0:
            run.watch(run.student, epoch)
        if on_epoch is not None:
            on_epoch(module, epoch)

    parts = {"student": run.student} | ({} if run.loss is None else {"loss": run.loss})
    return train_module(run, nn.ModuleDict(parts), partial(_step, run), on_epoch=before_epoch)


def train_module(run: DistillationRun, module: nn.Module, step: Step, **others: Any) -> FitResult:
    """Train `module` by `step` with the distillation's data, settings, seed and so on; `others` replaces these."""
    arguments: dict[str, Any] = {
        "splits": run.splits, "settings": run.settings, "seed": run.seed, "compute": run.compute,
        "augment": run.augment, "views": run.views, "checkpoint": run.checkpoint, "title": run.title,
        **others,
    }  # fmt: skip
    return run.train(module, step, **arguments)


def student_loss(
    run: DistillationRun, student: nn.Module, loss: nn.Module | None, batch: Batch
) -> tuple[Outputs, Tensor]:
    """Return the student's outputs and the distillation's loss on them, by the `student` and `loss` under training."""
    outputs = answer(student, batch.x, run.layers, batch.index)
    if run.teacher is None or loss is None:
        return outputs, run.splits.task.answers.label_loss(outputs.logits, batch.y)
    return outputs, loss(outputs, run.teacher(batch), batch.y)


def without_teacher(run: DistillationRun) -> DistillationRun:
    """Return the same distillation without its teacher."""
    return replace(run, teacher=None, teacher_network=None, loss=None, layers=(), views=None)


def with_teacher(run: DistillationRun, network: nn.Module) -> DistillationRun:
    """Return the same distillation with another torch network, which is frozen, as its teacher, and a new loss."""
    loss = run.connect(run.student, network) if run.connect else copy.deepcopy(run.loss)
    return replace(
        run,
        teacher=network_teacher(network, run.settings.precision, getattr(loss, "teacher_layers", ())),
        teacher_network=lambda: network,
        loss=loss,
        views=None,
        layers=getattr(loss, "student_layers", ()),
    )


def with_student(run: DistillationRun, student: nn.Module, scheme: str) -> DistillationRun:
    """Return the same distillation, with its teacher, for a student of another kind; errors name `scheme`."""
    other = replace(run, student=student)
    if run.layers:
        return with_teacher(other, run.open_teacher_network(scheme))
    return replace(other, loss=copy.deepcopy(run.loss))


def network_teacher(model: nn.Module, precision: Literal["32", "bf16"] = "32", layers: Sequence[str] = ()) -> Teacher:
    """Return a frozen network as a teacher; it follows the batches to their device."""
    model.eval().requires_grad_(False)

    def ask(batch: Batch) -> Outputs:
        device = batch.x.device
        model.to(device)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return answer(model, channels_last(batch.x), layers, batch.index)

    return ask


def in_sequence(results: Sequence[FitResult]) -> FitResult:
    """Return the results of successive trainings as one result."""
    return replace(
        results[-1],
        epochs=sum(result.epochs for result in results),
        losses=[loss for result in results for loss in result.losses],
        resumed_from=sum(result.resumed_from for result in results),
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
    )


def _step(run: DistillationRun, module: nn.ModuleDict, batch: Batch) -> Tensor:
    return student_loss(run, module["student"], dict(module.named_children()).get("loss"), batch)[1]
