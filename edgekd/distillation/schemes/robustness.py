"""How a network stands up to inputs that were changed against it: projected gradient descent (Madry et al., 2018,
arXiv:1706.06083), as an attack to train under and to measure by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.data.batches import batches
from edgekd.data.splits import Split, Splits
from edgekd.errors import ConfigError
from edgekd.nn.outputs import answer
from edgekd.tasks.task import Score
from edgekd.training.evaluate import channels_last
from edgekd.training.progress import progress

Objective = Callable[[Tensor], Tensor]
"""A network's answers, (N, *answer shape) -> what the attack makes as large as it can, a scalar."""


@dataclass(frozen=True)
class Reach:
    """What an attack may do, in the units of normalised inputs; tensors have a number per channel.

    Attributes:
        eps: how far from the true value each number may be moved.
        low, high: the values that raw inputs can have; uint8 alone says.
    """

    eps: Tensor
    low: Tensor | None
    high: Tensor | None

    def inside(self, moved: Tensor, x: Tensor) -> Tensor:
        """`moved`, back within reach of x."""
        eps = self.eps.to(x.device)
        moved = torch.minimum(torch.maximum(moved, x - eps), x + eps)
        if self.low is None or self.high is None:
            return moved
        return torch.minimum(torch.maximum(moved, self.low.to(x.device)), self.high.to(x.device))


def reach(splits: Splits, eps: float) -> Reach:
    """How far `eps`, in raw units (of a pixel's 255 steps where data is uint8), reaches on normalised inputs."""
    if splits.vocabulary:
        raise ConfigError("tokens can't be moved by a small step", "data with inputs that are numbers: images, series")
    if not eps > 0:
        raise ConfigError(f"eps = {eps} must be above 0", "eps = 8 moves a pixel by 8 of its 255 steps")
    shape = (1, -1) + (1,) * (len(splits.input_shape) - 1)
    mean, std = (torch.tensor(values, dtype=torch.float32).reshape(shape) for values in (splits.mean, splits.std))
    if splits.scale == 1:
        return Reach(eps / std, None, None)
    return Reach(eps * splits.scale / std, (0 - mean) / std, (1 - mean) / std)


def attacked(
    model: nn.Module, x: Tensor, objective: Objective, reach: Reach, steps: int, step: float, start: Tensor
) -> Tensor:
    """x_0 = x + start * eps; x_k+1 = x_k + step * eps * sign(gradient of the objective), back within reach each time.

    The model is asked in evaluation mode, so that its running statistics stay those of true inputs, and comes back in
    the mode that it was in. Its gradients are left alone.

    Args:
        x: (N, ...), normalised.
        step: a share of eps.
        start: in [-1, 1], as large as x.
    """
    was_training = model.training
    model.eval()
    eps = reach.eps.to(x.device)
    moved = reach.inside(x + start * eps, x)
    for _ in range(steps):
        moved.requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(objective(answer(model, moved).logits), moved)
        moved = channels_last(reach.inside(moved.detach() + step * eps * slope.sign(), x))
    model.train(was_training)
    return moved.detach()


def score_under_pgd(
    model: nn.Module,
    splits: Splits,
    eps: float,
    steps: int = 20,
    *,
    step: float | None = None,
    split: Split | None = None,
    seed: int = 0,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
    title: str = "under attack",
) -> Score:
    """The score on inputs that are changed to raise the loss against their targets; the same call gives the same.

    Args:
        eps: in raw units; 8 moves a pixel by 8 of its 255 steps, which is customary for CIFAR-10.
        steps: of the attack, from a random start.
        step: of each, as a share of eps; 2.5 / steps by default, so that it can cross the whole range (Madry et al.).
        split: the test split by default.
    """
    chosen, within = split or splits.test, reach(splits, eps)
    generator = torch.Generator().manual_seed(seed)
    model.to(device)
    answers: list[np.ndarray] = []
    with progress(title, len(chosen)) as advance:
        for batch in batches(chosen, splits, batch_size, device=device):
            start = (2 * torch.rand(batch.x.shape, generator=generator) - 1).to(batch.x.device)
            wrong = partial(splits.task.answers.label_loss, targets=batch.y, reduction="sum")
            moved = attacked(model, channels_last(batch.x), wrong, within, steps, step or 2.5 / steps, start)
            answers.append(_evaluated(model, moved))
            advance(len(batch.y), "")
    model.to("cpu")
    whole = np.concatenate(answers) if answers else np.zeros((0, *splits.answer_shape), np.float32)
    return splits.task.scoring.score(whole, np.asarray(chosen.y))


def _evaluated(model: nn.Module, x: Tensor) -> np.ndarray:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        answers: np.ndarray = answer(model, x).logits.cpu().numpy()
    model.train(was_training)
    return answers
