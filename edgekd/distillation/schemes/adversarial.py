"""Adversarial and data-free distillation: a generator makes the images on which the student disagrees most with its
teacher, and the student learns from them (DFAD: Fang et al., 2019, arXiv:1912.11006; DAFL: Chen et al., 2019,
arXiv:1904.01186)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.data.batches import Batch
from edgekd.distillation.run import DistillationRun, student_loss, trained
from edgekd.distillation.schemes.generator import Generator, Trained
from edgekd.distillation.schemes.memory import unlike_memory
from edgekd.errors import ConfigError
from edgekd.nn.outputs import answer
from edgekd.tasks.classification.learning import label_loss, likeliest
from edgekd.training.evaluate import channels_last
from edgekd.training.fit import FitResult


def adversarial(
    run: DistillationRun,
    data: Literal["mixed", "none"] = "mixed",
    weight: float = 1.0,
    every: int = 1,
    one_hot: float = 1.0,
    balance: float = 5.0,
    statistics: float = 200.0,
    learning_rate: float = 1e-3,
    latent: int = 64,
    width: int = 64,
) -> FitResult:
    """Student: weight * mean |S(G(z)) - T(G(z))|, beside `distill.losses` on the data.
    Generator: -log(1 + mean |S(G(z)) - T(G(z))|) + one_hot * (loss of T(G(z)) for its likeliest class) - balance *
    H(mean of softmax T(G(z))) + statistics * (how unlike the teacher's data G(z) is, by its batch norms)

    The disagreement is DFAD's; that the teacher should be sure of an image, and images spread over the classes, are
    DAFL's one-hot and information entropy losses; the last term is DeepInversion's, as `unlike_memory` has it. The
    logarithm, ours, keeps a large disagreement from drowning them.
    Beside data, images that are made leave the student's running statistics alone: those belong to true inputs.

    Args:
        data: "mixed" learns from the data too; "none" looks at no sample of it: an epoch is as many steps as it gives.
        weight: weight of the disagreement in the student's loss.
        every: steps of the student for each step of the generator; DFAD has 5, with which the student learnt less of
            the digits in the same number of steps.
        one_hot, balance: weights of the two terms; DAFL's for MNIST by default, 0 for DFAD alone.
        statistics: weight of that last term; without it the images for MNIST's teacher did not look like MNIST's.
        learning_rate: learning rate of the generator, which has an Adam of its own.
        latent: length of the generator's noise.
        width: channels of the generator.
    """
    run.require("logits", "adversarial")
    if data not in ("mixed", "none") or every < 1 or weight <= 0:
        raise ConfigError(
            f"scheme 'adversarial': data = {data!r} must be 'mixed' or 'none', every = {every} 1 or more, and "
            f"weight = {weight} above 0",
            'distill.scheme = {name = "adversarial", data = "mixed"}',
        )
    shape = run.splits.input_shape
    if len(shape) != 3:
        raise ConfigError(
            f"scheme 'adversarial' makes images (C, H, W); these inputs have shape {shape}",
            'distill.scheme = "offline"',
        )
    _, loss = run.required_teacher("adversarial")
    teacher = run.open_teacher_network("adversarial").eval().requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        generator = Trained(Generator(shape, latent, width), learning_rate, every)
    game = _Game(run, teacher, data == "mixed", weight, one_hot, balance, statistics)
    parts = {"student": run.student, "generator": generator}
    together = nn.ModuleDict(parts if data == "none" else {**parts, "loss": loss})
    return trained(run, together, partial(_step, game))


@dataclass(frozen=True)
class _Game:
    """What stays the same from step to step."""

    run: DistillationRun
    teacher: nn.Module
    mixed: bool
    weight: float
    one_hot: float
    balance: float
    statistics: float


def _step(game: _Game, module: nn.ModuleDict, batch: Batch) -> Tensor:
    student, generator = module["student"], module["generator"]
    assert isinstance(generator, Trained) and isinstance(generator.network, Generator)
    game.teacher.to(batch.x.device)
    latent = generator.network.latent

    def made() -> Tensor:
        return channels_last(generator(torch.randn(len(batch.y), latent, device=batch.x.device)))

    with _statistics_left_alone(student, game.mixed):
        generator.lower(lambda: _against(game, student, made()))
        images = made()
        with torch.no_grad():
            wanted = answer(game.teacher, images).logits
        total = game.weight * (answer(student, images).logits - wanted).abs().mean()
    return total + student_loss(game.run, student, module["loss"], batch)[1] if game.mixed else total


def _against(game: _Game, student: nn.Module, images: Tensor) -> Tensor:
    """What the generator lowers."""
    answered, unlike = unlike_memory(game.teacher, images)
    wanted = answered.logits
    apart = (answer(student, images).logits - wanted).abs().mean()
    sure = label_loss(wanted, likeliest(wanted))
    shares = wanted.softmax(1).mean(0)
    spread = -(shares * shares.clamp_min(1e-12).log()).sum()
    return -torch.log1p(apart) + game.one_hot * sure - game.balance * spread + game.statistics * unlike


@contextmanager
def _statistics_left_alone(model: nn.Module, wanted: bool) -> Iterator[None]:
    """Batch norm goes by the batch, and does not remember it."""
    norms = [module for module in model.modules() if wanted and isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
