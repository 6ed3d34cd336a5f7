"""Deep mutual learning: several networks learn at once, each from the labels and from the others' answers
(Zhang et al., 2018, arXiv:1706.00384)."""

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.data.batches import Batch
from edgekd.distillation.run import DistillationRun, student_loss, train_module, without_teacher
from edgekd.errors import ConfigError
from edgekd.training.fit import FitResult


def mutual(run: DistillationRun, peers: int = 2, temperature: float = 1.0, with_teacher: bool = False) -> FitResult:
    """L_k = loss(peer k, labels) + T^2 / (K - 1) * sum over j != k of KL(p_j || p_k)

    The paper's loss for cohorts of K, added up over peers of the student's architecture. Where we differ: the paper
    updates one peer after the other, each time on new answers; ours answer once and step together. No gradient flows
    into the answers that a peer learns from.

    The student is the first peer, whose initial weights are those of any other scheme; it is not chosen as the best of
    several.

    Args:
        peers: K, the number of networks, the student among them.
        temperature: softens what peers compare; the paper's is 1.
        with_teacher: peers also learn from the teacher: `distill.losses` take the place of the loss on labels, and each
            peer has adapters of its own. Otherwise neither the teacher nor the losses are used.
    """
    if peers < 2 or temperature <= 0:
        raise ConfigError(
            f"scheme 'mutual': peers = {peers} must be 2 or more, and temperature = {temperature} above 0",
            'distill.scheme = {name = "mutual", peers = 2}',
        )
    run.require("logits", "mutual")
    peer_run = run if with_teacher else without_teacher(run)
    others = [run.fresh(run.seed + number) for number in range(1, peers)]
    _check_apart(run.student, others)
    modules = nn.ModuleDict({"peers": nn.ModuleList([run.student, *others])})
    if peer_run.loss is not None:
        modules["losses"] = nn.ModuleList([peer_run.loss, *(copy.deepcopy(peer_run.loss) for _ in others)])
    return train_module(peer_run, modules, partial(_step, peer_run, temperature))


def _step(run: DistillationRun, temperature: float, modules: nn.ModuleDict, batch: Batch) -> Tensor:
    peers = list(modules["peers"].children())
    losses = list(modules["losses"].children()) if "losses" in modules else [None] * len(peers)
    results = [student_loss(run, peer, loss, batch) for peer, loss in zip(peers, losses, strict=True)]
    agreements = agreement([outputs.logits for outputs, _ in results], temperature)
    return sum(
        (own + agreement_loss for (_, own), agreement_loss in zip(results, agreements, strict=True)),
        start=batch.x.new_zeros(()),
    )


def agreement(logits: list[Tensor], temperature: float = 1.0) -> list[Tensor]:
    """Return for each peer T^2 times the mean of its KL divergences from the others, a scalar.

    Args:
        logits: those of each peer, (N, classes).
    """
    soft = [F.log_softmax(own / temperature, dim=1) for own in logits]
    return [
        temperature**2 * sum(
            (_kl(other.detach(), own) for other_index, other in enumerate(soft) if other_index != index),
            start=own.new_zeros(()),
        ) / (len(soft) - 1)
        for index, own in enumerate(soft)
    ]  # fmt: skip


def _kl(target: Tensor, prediction: Tensor) -> Tensor:
    return F.kl_div(prediction, target, log_target=True, reduction="batchmean")


def _check_apart(student: nn.Module, others: list[nn.Module]) -> None:
    """Raise ConfigError where peers have the same weights: on the same batches, they would stay the same."""
    ours = list(student.parameters())
    for other in others:
        if all(torch.equal(a, b) for a, b in zip(ours, other.parameters(), strict=True)):
            raise ConfigError(
                "scheme 'mutual': the peers start from the same weights, and would have nothing to teach each other",
                "leave student.checkpoint out",
            )
