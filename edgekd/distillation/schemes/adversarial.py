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
from edgekd.distillation.run import DistillationRun, student_loss, train_module
from edgekd.distillation.schemes.generator import AdamNetwork, Generator
from edgekd.distillation.schemes.memory import statistics_distance
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
    H(mean of softmax T(G(z))) + statistics * (distance of G(z) from the statistics in the teacher's batch norms)

    The disagreement is DFAD's; that the teacher should be sure of an image, and images spread over the classes, are
    DAFL's one-hot and information entropy losses; the last term is DeepInversion's, by `statistics_distance`. The
    logarithm, ours, keeps a large disagreement from drowning them.
    With "mixed" data, generated images do not change the student's running statistics, which are those of true inputs.

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
    _, loss = run.require_teacher("adversarial")
    teacher = run.open_teacher_network("adversarial").eval().requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        generator = AdamNetwork(Generator(shape, latent, width), learning_rate, every)
    settings = _Settings(run, teacher, data == "mixed", weight, one_hot, balance, statistics)
    parts = {"student": run.student, "generator": generator}
    modules = nn.ModuleDict(parts if data == "none" else {**parts, "loss": loss})
    return train_module(run, modules, partial(_step, settings))


@dataclass(frozen=True)
class _Settings:
    """The networks and weights that every step uses."""

    run: DistillationRun
    teacher: nn.Module
    uses_data: bool
    weight: float
    one_hot: float
    balance: float
    statistics: float


def _step(settings: _Settings, module: nn.ModuleDict, batch: Batch) -> Tensor:
    student, generator = module["student"], module["generator"]
    assert isinstance(generator, AdamNetwork) and isinstance(generator.network, Generator)
    settings.teacher.to(batch.x.device)
    latent = generator.network.latent

    def generate() -> Tensor:
        return channels_last(generator(torch.randn(len(batch.y), latent, device=batch.x.device)))

    with _without_statistics_updates(student, settings.uses_data):
        generator.lower(lambda: _generator_loss(settings, student, generate()))
        images = generate()
        with torch.no_grad():
            teacher_logits = answer(settings.teacher, images).logits
        total = settings.weight * (answer(student, images).logits - teacher_logits).abs().mean()
    return total + student_loss(settings.run, student, module["loss"], batch)[1] if settings.uses_data else total


def _generator_loss(settings: _Settings, student: nn.Module, images: Tensor) -> Tensor:
    """Return the loss of the generator, a scalar."""
    teacher_outputs, distance = statistics_distance(settings.teacher, images)
    teacher_logits = teacher_outputs.logits
    disagreement = (answer(student, images).logits - teacher_logits).abs().mean()
    one_hot_loss = label_loss(teacher_logits, likeliest(teacher_logits))
    shares = teacher_logits.softmax(1).mean(0)
    entropy = -(shares * shares.clamp_min(1e-12).log()).sum()
    return (
        -torch.log1p(disagreement)
        + settings.one_hot * one_hot_loss
        - settings.balance * entropy
        + settings.statistics * distance
    )


@contextmanager
def _without_statistics_updates(model: nn.Module, active: bool) -> Iterator[None]:
    """While `active`, batch norm normalises by the batch and does not update its running statistics."""
    norms = [module for module in model.modules() if active and isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
