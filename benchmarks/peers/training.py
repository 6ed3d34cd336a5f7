"""Quantisation-aware training, the same for all tools that train in torch: edgekd's own loop, order and loss.

The float student is the teacher of its quantised form: soft targets, no label beyond those that it learned from.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.peers.job import Job
from edgekd.config import Compute
from edgekd.data.batches import Batch
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.run import network_teacher
from edgekd.nn.outputs import answer
from edgekd.training.fit import fit

Settle = Callable[[nn.Module], None]


def train(job: Job, student: nn.Module, settle: Settle = lambda student: None) -> None:
    """Train `student` in place.

    Args:
        settle: called once, after the share of the epochs in which ranges may follow the activations
            (`quantize.observe`): a tool freezes its observers there, and batch norm's statistics.
    """
    teacher = network_teacher(job.student())
    settling_epoch = math.ceil(job.quantize.observe * job.quantize.epochs)

    def step(module: nn.Module, batch: Batch) -> torch.Tensor:
        loss: torch.Tensor = module["loss"](answer(module["student"], batch.x), teacher(batch), batch.y)  # type: ignore[index]
        return loss

    def on_epoch(module: nn.Module, epoch: int) -> None:
        if epoch == settling_epoch:
            settle(student)

    with job.clock.training():
        fit(
            nn.ModuleDict({"student": student, "loss": SoftTargets()}),
            step,
            job.splits,
            job.quantize,
            seed=job.seed,
            compute=Compute(),
            augment=job.augment,
            title="quantize: training",
            on_epoch=on_epoch,
        )
