"""The one training loop: every stage that trains calls `fit`, alone or in the many processes of `torchrun`."""

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.config import Augment, Compute, Training
from edgekd.data.augmentation import draw
from edgekd.data.batches import Batch, Views, applicable, batches, count_steps, epoch_order
from edgekd.data.splits import Splits
from edgekd.errors import TrainingError
from edgekd.results import AlongTheWay
from edgekd.training import distributed, resume, runtime
from edgekd.training.evaluate import channels_last
from edgekd.training.optimizer import learning_rate, optimizer_for
from edgekd.training.progress import progress, say

Step = Callable[[nn.Module, Batch], Tensor]

CHECK_EVERY = 16  # steps between looks at the losses: on a GPU each look waits for the work under way


@dataclass(frozen=True)
class FitResult:
    """Attributes:
    epochs: trained in all, before and after a resume.
    losses: the mean loss of each epoch.
    processes: that shared the work.
    resumed_from: epochs that were already done when this call began.
    device: on which it ran, "cpu" or "cuda:0".
    notes: what did not go as asked, to be recorded with the result.
    along_the_way: what a scheme of distillation measured.
    passes: over the training split, where a scheme's epochs are none: a stream's windows make up one.
    """

    epochs: int
    losses: list[float]
    processes: int
    resumed_from: int
    device: str
    notes: tuple[str, ...] = ()
    along_the_way: tuple[AlongTheWay, ...] = ()
    passes: int | None = None


def fit(
    module: nn.Module,
    step: Step,
    splits: Splits,
    settings: Training,
    *,
    seed: int,
    compute: Compute,
    augment: Augment | None = None,
    views: Views | None = None,
    checkpoint: Path | None = None,
    title: str,
    on_epoch: Callable[[nn.Module, int], None] | None = None,
    order: Callable[[int], np.ndarray] | None = None,
) -> FitResult:
    """Train `module` in place on `splits.train`; it comes back on the CPU, in training mode.

    The same call gives the same weights, bit for bit, on one machine with as many threads and processes, however often
    it was killed in between: the state is kept after each epoch, and all chance comes from (seed, epoch, process).
    What augmentation draws depends on (seed, epoch, sample) alone: it is the same for any number of processes.

    Args:
        module: holds everything that is trained (a student and its losses' adapters, say).
        step: (module, batch) -> the mean loss over the batch, a scalar. It runs under mixed precision if asked for.
        views: the augmentation views that epochs take turns with; None draws afresh for each epoch.
        checkpoint: the file that keeps the state; the caller removes it when the result is safe.
        title: shown with the progress; its first word is the config section that remedies point to.
        on_epoch: (module, epoch) is called before each epoch, in every process. After a resume it is not called for
            the epochs that are done, so what it does must depend on `epoch` alone.
        order: epoch -> the positions in the training split that it visits, as many in each epoch; None permutes all.
    """
    order = order or partial(epoch_order, len(splits.train), seed)
    with runtime.reproducible(compute.threads or runtime.threads(splits, settings)):
        training = _Fit(module, step, splits, settings, seed, compute, augment, views, checkpoint, title, order)
        return training.run(on_epoch)


class _Fit:
    """One training under way."""

    def __init__(
        self,
        module: nn.Module,
        step: Step,
        splits: Splits,
        settings: Training,
        seed: int,
        compute: Compute,
        augment: Augment | None,
        views: Views | None,
        checkpoint: Path | None,
        title: str,
        order: Callable[[int], np.ndarray],
    ) -> None:
        self.module, self.splits, self.settings = module, splits, settings
        self.seed, self.augment, self.views = seed, applicable(augment, splits), views
        self.checkpoint, self.title, self.order = checkpoint, title, order
        self.section = re.split(r"\W", title)[0]
        self.notes: list[str] = []
        self.world = distributed.world()
        self.batch_size = self._batch_size()
        self.steps = count_steps(len(order(0)), self.batch_size)
        self.step = _Step(module, step)
        self.fabric = runtime.fabric(settings, compute, unused=self.world > 1 and self._leaves_some_out())

    def run(self, on_epoch: Callable[[nn.Module, int], None] | None) -> FitResult:
        """Set up, go on from what was kept, and train the epochs that are left."""
        self.module.to(self.fabric.device)
        runtime.channels_last_weights(self.module)
        run = resume.fingerprint(
            self.module, self.splits, self.settings, self.augment, self.views, self.seed, self.title
        )
        optimizer = optimizer_for(self.module, self.settings)
        state, note = resume.load_state(self.checkpoint, run)
        if note:
            self._note(note)
        if state is not None:
            resume.restore(state, self.module, optimizer)
        losses = list(state.losses) if state else []
        done = len(losses)
        if done < self.settings.epochs:
            self.wrapped, self.optimizer = self.fabric.setup(self.step, optimizer)
        with progress(self.title, (self.settings.epochs - done) * self.steps) as advance:
            for epoch in range(done, self.settings.epochs):
                if on_epoch is not None:
                    on_epoch(self.module, epoch)
                losses.append(self._epoch(epoch, advance))
                self._share_buffers()
                kept = resume.State(run, epoch + 1, losses, self.module.state_dict(), optimizer.state_dict())
                resume.save_state(self.checkpoint, kept)
        runtime.to_cpu(self.module)
        device = str(self.fabric.device)
        return FitResult(len(losses), losses, self.world, done, device, tuple(self.notes))

    def _epoch(self, epoch: int, advance: Callable[[int, str], None]) -> float:
        """One pass over the training split; its mean loss comes back."""
        torch.manual_seed(_chance(self.seed, epoch, distributed.rank()))  # dropout and the like
        view = None if self.views is None else epoch % self.views.count
        drawn_from = (self.seed, epoch) if self.views is None else (self.views.seed, epoch % self.views.count)
        draws = draw(len(self.splits.train), self.augment, *drawn_from)
        self.module.train()
        pending: list[Tensor] = []
        losses: list[float] = []
        cut = batches(
            self.splits.train, self.splits, self.batch_size, order=self.order(epoch), augment=self.augment,
            draws=draws, view=view, rank=distributed.rank(), processes=self.world, device=self.fabric.device,
        )  # fmt: skip
        with self._memory_error_explained():
            for number, batch in enumerate(cut):
                pending.append(self._update(batch, epoch * self.steps + number))
                if len(pending) == CHECK_EVERY or number + 1 == self.steps:
                    losses += self._finite(pending, epoch, first=len(losses))
                    pending.clear()
                seen = f", loss {losses[-1]:.3f}" if losses else ""
                advance(1, f"epoch {epoch + 1}/{self.settings.epochs}{seen}")
        return float(np.mean(losses))

    def _update(self, batch: Batch, step: int) -> Tensor:
        rate = learning_rate(step, self.settings.epochs * self.steps, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss: Tensor = self.wrapped(channels_last(batch.x), batch.y, batch.index, batch.view)
        if loss.ndim:
            raise TrainingError(
                f"{self.title}: the loss has shape {tuple(loss.shape)} where a scalar is due", "return loss.mean()"
            )
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if self.settings.clip_norm:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=self.settings.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        return loss.detach()

    def _finite(self, losses: list[Tensor], epoch: int, first: int) -> list[float]:
        """The losses as numbers, averaged over the processes, so that all of them stop at the same one."""
        values: list[float] = torch.as_tensor(self.fabric.all_reduce(torch.stack(losses), reduce_op="mean")).tolist()
        for number, value in enumerate(values):
            if not np.isfinite(value):
                calmer = f"--set {self.section}.learning_rate={self.settings.learning_rate / 3:.2g}"
                raise TrainingError(
                    f"{self.title}: the loss became {value} in epoch {epoch + 1}, step {first + number + 1}", calmer
                )
        return values

    def _batch_size(self) -> int:
        """As asked for, or less where the data or the processes ask for it: then a note says so."""
        samples, asked = len(self.order(0)), self.settings.batch_size
        size = min(asked, samples) // self.world * self.world
        if size < 2 * self.world:
            raise TrainingError(
                f"{self.title}: {samples} training samples in batches of {asked} are too few for {self.world} "
                f"process{'es' * (self.world > 1)}: each needs two in a batch",
                f"--set {self.section}.batch_size={max(asked, 2 * self.world)}, or bring more samples",
            )
        if size != asked:
            self._note(f"batch_size {asked} became {size}: {samples} training samples, {self.world} process(es)")
        return size

    def _leaves_some_out(self) -> bool:
        """Whether a step leaves parameters without a gradient; DDP must know. Tried on a copy."""
        trial = copy.deepcopy(self.step)
        batch = next(batches(self.splits.train, self.splits, 2))
        trial(channels_last(batch.x), batch.y, batch.index).backward()
        return any(p.grad is None for p in trial.parameters() if p.requires_grad)

    def _share_buffers(self) -> None:
        """Running statistics follow each process's own samples: the main process's hold."""
        if self.world > 1:
            for buffer in self.module.buffers():
                buffer.copy_(self.fabric.broadcast(buffer, src=0))

    def _note(self, note: str) -> None:
        self.notes.append(note)
        say(f"{self.title}: {note}")

    @contextmanager
    def _memory_error_explained(self) -> Iterator[None]:
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            is_memory = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)
            if not is_memory:
                raise
            raise TrainingError(
                f"{self.title}: out of memory with batches of {self.batch_size}",
                f"--set {self.section}.batch_size={max(self.batch_size // 2, 1)}",
            ) from error


class _Step(nn.Module):
    """The whole step as one forward pass: mixed precision covers it, and DDP sees every parameter that it uses."""

    def __init__(self, module: nn.Module, step: Step) -> None:
        super().__init__()
        self.module, self.step = module, step

    def forward(self, x: Tensor, y: Tensor, index: Tensor, view: int | None = None) -> Tensor:
        return self.step(self.module, Batch(x, y, index, view))


def _chance(seed: int, epoch: int, rank: int) -> int:
    return int(np.random.SeedSequence((seed, epoch, rank)).generate_state(1, np.uint32)[0])
