"""Projected gradient descent (PGD: Madry et al., 2018, arXiv:1706.06083), as an attack for adversarial training and
for measuring how robust a network is."""

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
"""A network's answers, (N, *answer shape) -> what the attack maximises, a scalar."""


@dataclass(frozen=True)
class Bounds:
    """The limits of an attack, in the units of normalised inputs; tensors have a number per channel.

    Attributes:
        eps: how far each number may be moved from its true value.
        low, high: the least and the largest value of raw inputs, which is known for uint8 alone.
    """

    eps: Tensor
    low: Tensor | None
    high: Tensor | None

    def inside(self, values: Tensor, x: Tensor) -> Tensor:
        """Project `values` back into the bounds around x."""
        eps = self.eps.to(x.device)
        values = torch.minimum(torch.maximum(values, x - eps), x + eps)
        if self.low is None or self.high is None:
            return values
        return torch.minimum(torch.maximum(values, self.low.to(x.device)), self.high.to(x.device))


def perturbation_bounds(splits: Splits, eps: float) -> Bounds:
    """Return the bounds on normalised inputs for an `eps` in raw units (of a pixel's 255 steps where data is uint8)."""
    if splits.vocabulary:
        raise ConfigError("tokens can't be moved by a small step", "data with inputs that are numbers: images, series")
    if not eps > 0:
        raise ConfigError(f"eps = {eps} must be above 0", "eps = 8 moves a pixel by 8 of its 255 steps")
    shape = (1, -1) + (1,) * (len(splits.input_shape) - 1)
    mean, std = (torch.tensor(values, dtype=torch.float32).reshape(shape) for values in (splits.mean, splits.std))
    if splits.scale == 1:
        return Bounds(eps / std, None, None)
    return Bounds(eps * splits.scale / std, (0 - mean) / std, (1 - mean) / std)


def adversarial_inputs(
    model: nn.Module, x: Tensor, objective: Objective, bounds: Bounds, steps: int, step: float, start: Tensor
) -> Tensor:
    """x_0 = x + start * eps; x_k+1 = x_k + step * eps * sign(gradient of the objective), projected into the bounds.

    The model runs in evaluation mode, so that its running statistics stay those of true inputs, and returns to the mode
    that it was in. Its gradients do not change.

    Args:
        x: normalised inputs, (N, ...).
        step: size of each step, as a share of eps.
        start: the first perturbation, as a share of eps in [-1, 1], with the shape of x.
    """
    was_training = model.training
    model.eval()
    eps = bounds.eps.to(x.device)
    inputs = bounds.inside(x + start * eps, x)
    for _ in range(steps):
        inputs.requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(objective(answer(model, inputs).logits), inputs)
        inputs = channels_last(bounds.inside(inputs.detach() + step * eps * gradient.sign(), x))
    model.train(was_training)
    return inputs.detach()


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
    """Return the score on inputs that PGD changes to raise the loss on their targets; the same call gives the same.

    Args:
        eps: size of the perturbation in raw units; 8 of a pixel's 255 steps is customary for CIFAR-10.
        steps: number of steps of the attack, from a random start.
        step: size of each step, as a share of eps; 2.5 / steps by default, so that the attack can cross the whole range
            (Madry et al.).
        split: the samples; the test split by default.
    """
    samples, bounds = split or splits.test, perturbation_bounds(splits, eps)
    generator = torch.Generator().manual_seed(seed)
    model.to(device)
    answers: list[np.ndarray] = []
    with progress(title, len(samples)) as advance:
        for batch in batches(samples, splits, batch_size, device=device):
            start = (2 * torch.rand(batch.x.shape, generator=generator) - 1).to(batch.x.device)
            objective = partial(splits.task.answers.label_loss, targets=batch.y, reduction="sum")
            inputs = adversarial_inputs(
                model, channels_last(batch.x), objective, bounds, steps, step or 2.5 / steps, start
            )
            answers.append(_answers(model, inputs))
            advance(len(batch.y), "")
    model.to("cpu")
    all_answers = np.concatenate(answers) if answers else np.zeros((0, *splits.answer_shape), np.float32)
    return splits.task.scoring.score(all_answers, np.asarray(samples.y))


def _answers(model: nn.Module, x: Tensor) -> np.ndarray:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        answers: np.ndarray = answer(model, x).logits.cpu().numpy()
    model.train(was_training)
    return answers
