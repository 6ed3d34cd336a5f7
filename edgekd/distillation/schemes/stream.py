"""A stream: teacher and student both learn from batches as they arrive, after they were evaluated on each of them
(prequential evaluation: Gama, Sebastião and Rodrigues, 2013, "On evaluating stream learning algorithms")."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.data.batches import Batch
from edgekd.distillation.run import DistillationRun, train_module
from edgekd.errors import ConfigError
from edgekd.nn.outputs import answer
from edgekd.results import AlongTheWay
from edgekd.tasks.classification.learning import count_right
from edgekd.tasks.classification.scoring import share_right
from edgekd.tasks.task import Task
from edgekd.training import distributed
from edgekd.training.fit import FitResult


def stream(run: DistillationRun, windows: int = 20, teacher_learns: bool = True) -> FitResult:
    """One pass over the training split in its own order, at a constant learning rate; `distill.epochs` is ignored. The
    teacher learns from the labels, and the student from the teacher by `distill.losses`.

    On each batch both first answer in evaluation mode, as if deployed; then they learn from it. Their scores over
    each window stand in the report, where a drift of the data shows as a lower score. A killed stream resumes after its
    last window; samples beyond windows of whole batches are left out. The teacher is dropped at the end of the stream.

    Args:
        windows: number of windows that the stream is cut into.
        teacher_learns: false leaves the teacher as it is, for comparison.
    """
    run.require("logits", "stream")
    _, loss = run.require_teacher("stream")
    batch_size, samples = run.settings.batch_size, len(run.splits.train)
    window = samples // batch_size // windows * batch_size if windows > 0 else 0
    if not window:
        raise ConfigError(
            f"scheme 'stream': {samples} training samples in batches of {batch_size} don't fill {windows} windows",
            f"windows = {max(samples // batch_size, 1)} or fewer, or a smaller distill.batch_size",
        )
    teacher = run.open_teacher_network("stream").requires_grad_(teacher_learns)
    settings = run.settings.model_copy(update={"epochs": windows, "schedule": "constant"})
    tally = _Tally(windows)
    modules = nn.ModuleDict({"student": run.student, "teacher": teacher, "loss": loss, "tally": tally})
    result = train_module(
        run, modules, partial(_step, run, teacher_learns),
        settings=settings, views=None, title=f"{run.title}: the stream's windows",
        on_epoch=_open_window, order=lambda number: np.arange(number * window, (number + 1) * window),
    )  # fmt: skip
    return replace(result, along_the_way=tally.rows(run.splits.task), passes=1)


class _Tally(nn.Module):
    """Counts of correct answers in each window, as buffers, so that they are saved with the training's state."""

    right: Tensor
    samples: Tensor
    window: Tensor

    def __init__(self, windows: int) -> None:
        super().__init__()
        self.register_buffer("right", torch.zeros(windows, 2, dtype=torch.int64))
        self.register_buffer("samples", torch.zeros(windows, dtype=torch.int64))
        self.register_buffer("window", torch.zeros((), dtype=torch.int64))

    def count(self, networks: Sequence[nn.Module], batch: Batch) -> None:
        """Count the correct answers of the student and the teacher to a batch, over all processes."""
        right = []
        with torch.no_grad():
            for network in networks:
                network.eval()
                right.append(count_right(answer(network, batch.x).logits, batch.y))
                network.train()
        *right_counts, samples = distributed.total(torch.stack([*right, torch.full_like(right[0], len(batch.y))]))
        self.right[self.window] += torch.stack(right_counts)
        self.samples[self.window] += samples

    def rows(self, task: Task) -> tuple[AlongTheWay, ...]:
        """Return the scores of student and teacher in each window."""
        rows = []
        for number, (right, samples) in enumerate(
            zip(self.right.tolist(), self.samples.tolist(), strict=True), start=1
        ):
            source = f"{samples:,} samples of the stream, each asked before it taught"
            student, teacher = (task.quantity(share_right(count, samples), source) for count in right)
            what = f"window {number} of {len(self.samples)}"
            rows.append(AlongTheWay(what=what, score=student, score_teacher=teacher))
        return tuple(rows)


def _open_window(modules: nn.Module, number: int) -> None:
    modules.get_submodule("tally").get_buffer("window").fill_(number)


def _step(run: DistillationRun, teacher_learns: bool, modules: nn.ModuleDict, batch: Batch) -> Tensor:
    student, teacher, loss, tally = (modules[name] for name in ("student", "teacher", "loss", "tally"))
    assert isinstance(tally, _Tally)
    tally.count((student, teacher), batch)
    layers = getattr(loss, "teacher_layers", ())
    if not teacher_learns:
        teacher.eval()
    with torch.set_grad_enabled(teacher_learns):
        teacher_outputs = answer(teacher, batch.x, layers, batch.index)
    features = {name: value.detach() for name, value in teacher_outputs.features.items()}
    detached_outputs = replace(teacher_outputs, logits=teacher_outputs.logits.detach(), features=features)
    total: Tensor = loss(answer(student, batch.x, run.layers, batch.index), detached_outputs, batch.y)
    if not teacher_learns:
        return total
    return total + run.splits.task.answers.label_loss(teacher_outputs.logits, batch.y)
