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

CHECK_EVERY = 16  # steps between checks of the losses: on a GPU each check waits for the work in progress


@dataclass(frozen=True)
class FitResult:
    """Attributes:
    epochs: number of epochs, before and after a resume.
    losses: the mean loss of each epoch.
    processes: number of processes that trained.
    resumed_from: number of epochs that were finished when this call began.
    device: the device of the training, "cpu" or "cuda:0".
    notes: deviations from the settings, to be recorded with the result.
    along_the_way: rows that a scheme of distillation measured during the training.
    passes: number of passes over the training split, where it is not `epochs`: a stream's windows make up one pass.
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
    """Train `module` in place on `splits.train`; afterwards it is on the CPU, in training mode.

    The same call gives the same weights, bit for bit, on one machine with as many threads and processes, however often
    it was killed in between: the state is saved after each epoch, and all random numbers depend on (seed, epoch,
    process). Those of augmentation depend on (seed, epoch, sample) alone, whatever the number of processes.

    Args:
        module: holds everything that is trained (a student and its losses' adapters, say).
        step: (module, batch) -> the mean loss over the batch, a scalar; mixed precision covers it where it is set.
        views: the augmentation views that epochs cycle through; None draws afresh for each epoch.
        checkpoint: the file that holds the state; the caller removes it when the result is saved.
        title: shown with the progress; its first word is the config section that remedies name.
        on_epoch: (module, epoch) is called before each epoch, in every process. After a resume it is not called for
            the epochs that are finished, so what it does must depend on `epoch` alone.
        order: epoch -> the positions in the training split that it visits, as many in each epoch; None permutes all.
    """
    order = order or partial(epoch_order, len(splits.train), seed)
    with runtime.reproducible(compute.threads or runtime.threads(splits, settings)):
        training = _Fit(module, step, splits, settings, seed, compute, augment, views, checkpoint, title, order)
        return training.run(on_epoch)


class _Fit:
    """The state of one training while it runs."""

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
        self.fabric = runtime.fabric(settings, compute, unused=self.world > 1 and self._has_unused_parameters())

    def run(self, on_epoch: Callable[[nn.Module, int], None] | None) -> FitResult:
        """Set up, restore the saved state, and train the remaining epochs."""
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
        first_epoch = len(losses)
        if first_epoch < self.settings.epochs:
            self.distributed_step, self.optimizer = self.fabric.setup(self.step, optimizer)
        with progress(self.title, (self.settings.epochs - first_epoch) * self.steps) as advance:
            for epoch in range(first_epoch, self.settings.epochs):
                if on_epoch is not None:
                    on_epoch(self.module, epoch)
                losses.append(self._epoch(epoch, advance))
                self._share_buffers()
                new_state = resume.State(run, epoch + 1, losses, self.module.state_dict(), optimizer.state_dict())
                resume.save_state(self.checkpoint, new_state)
        runtime.to_cpu(self.module)
        device = str(self.fabric.device)
        return FitResult(len(losses), losses, self.world, first_epoch, device, tuple(self.notes))

    def _epoch(self, epoch: int, advance: Callable[[int, str], None]) -> float:
        """Make one pass over the training split and return its mean loss."""
        torch.manual_seed(_epoch_seed(self.seed, epoch, distributed.rank()))  # dropout and the like
        view = None if self.views is None else epoch % self.views.count
        seeds = (self.seed, epoch) if self.views is None else (self.views.seed, epoch % self.views.count)
        draws = draw(len(self.splits.train), self.augment, *seeds)
        self.module.train()
        pending: list[Tensor] = []
        losses: list[float] = []
        epoch_batches = batches(
            self.splits.train, self.splits, self.batch_size, order=self.order(epoch), augment=self.augment,
            draws=draws, view=view, rank=distributed.rank(), processes=self.world, device=self.fabric.device,
        )  # fmt: skip
        with self._explain_memory_error():
            for number, batch in enumerate(epoch_batches):
                pending.append(self._update(batch, epoch * self.steps + number))
                if len(pending) == CHECK_EVERY or number + 1 == self.steps:
                    losses += self._check_finite(pending, epoch, first=len(losses))
                    pending.clear()
                loss_text = f", loss {losses[-1]:.3f}" if losses else ""
                advance(1, f"epoch {epoch + 1}/{self.settings.epochs}{loss_text}")
        return float(np.mean(losses))

    def _update(self, batch: Batch, step: int) -> Tensor:
        rate = learning_rate(step, self.settings.epochs * self.steps, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss: Tensor = self.distributed_step(channels_last(batch.x), batch.y, batch.index, batch.view)
        if loss.ndim:
            raise TrainingError(
                f"{self.title}: the loss has shape {tuple(loss.shape)} where a scalar is due", "return loss.mean()"
            )
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if self.settings.clip_norm:
            self.fabric.clip_gradients(
                self.distributed_step, self.optimizer, max_norm=self.settings.clip_norm, error_if_nonfinite=False
            )
        self.optimizer.step()
        return loss.detach()

    def _check_finite(self, losses: list[Tensor], epoch: int, first: int) -> list[float]:
        """Return the losses as numbers, averaged over processes, so that a loss that is not finite ends all of them."""
        values: list[float] = torch.as_tensor(self.fabric.all_reduce(torch.stack(losses), reduce_op="mean")).tolist()
        for number, value in enumerate(values):
            if not np.isfinite(value):
                remedy = f"--set {self.section}.learning_rate={self.settings.learning_rate / 3:.2g}"
                raise TrainingError(
                    f"{self.title}: the loss became {value} in epoch {epoch + 1}, step {first + number + 1}", remedy
                )
        return values

    def _batch_size(self) -> int:
        """Return the batch size of the settings, or, with a note, the largest one that data and processes allow."""
        samples, setting = len(self.order(0)), self.settings.batch_size
        size = min(setting, samples) // self.world * self.world
        if size < 2 * self.world:
            raise TrainingError(
                f"{self.title}: {samples} training samples in batches of {setting} are too few for {self.world} "
                f"process{'es' * (self.world > 1)}: each needs two in a batch",
                f"--set {self.section}.batch_size={max(setting, 2 * self.world)}, or bring more samples",
            )
        if size != setting:
            self._note(f"batch_size {setting} became {size}: {samples} training samples, {self.world} process(es)")
        return size

    def _has_unused_parameters(self) -> bool:
        """Return whether a step, tried on a copy, leaves parameters without a gradient; DDP must know this."""
        trial = copy.deepcopy(self.step)
        batch = next(batches(self.splits.train, self.splits, 2))
        trial(channels_last(batch.x), batch.y, batch.index).backward()
        return any(p.grad is None for p in trial.parameters() if p.requires_grad)

    def _share_buffers(self) -> None:
        """Give all processes the main process's buffers, since running statistics follow each process's own samples."""
        if self.world > 1:
            for buffer in self.module.buffers():
                buffer.copy_(self.fabric.broadcast(buffer, src=0))

    def _note(self, note: str) -> None:
        self.notes.append(note)
        say(f"{self.title}: {note}")

    @contextmanager
    def _explain_memory_error(self) -> Iterator[None]:
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


def _epoch_seed(seed: int, epoch: int, rank: int) -> int:
    return int(np.random.SeedSequence((seed, epoch, rank)).generate_state(1, np.uint32)[0])
