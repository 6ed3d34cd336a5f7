"""Robust distillation: the student keeps to the teacher's clean answers on inputs that were changed against it (RSLAD:
Zi et al., 2021, arXiv:2108.07969; before it ARD: Goldblum et al., 2020, arXiv:1905.09747)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.data.batches import Batch
from edgekd.distillation.run import DistillationRun, Teacher, trained
from edgekd.distillation.schemes.robustness import Reach, attacked, reach, score_under_pgd
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs, answer
from edgekd.results import AlongTheWay
from edgekd.training import distributed
from edgekd.training.fit import FitResult

MEASURED_BY = 20  # steps of the attack that the finished student is measured by


def robust(
    run: DistillationRun, eps: float = 8.0, steps: int = 10, step: float = 0.25, clean: float = 1 / 6
) -> FitResult:
    """clean * loss(S(x), T(x)) + (1 - clean) * loss(S(x'), T(x)), where x' has the largest KL(S(x') || T(x)) near x

    RSLAD's objective, with its shares, eps, steps and step of 2 / 255. `distill.losses` are the loss: RSLAD itself is
    {name = "logits", temperature = 1, hard = 0}; with hard labels in it and clean = 0 it comes close to ARD, whose
    labels go with the clean inputs. The teacher answers on clean inputs alone, so stored answers serve; it teaches more
    where it is robust itself. A step runs the student forth and back `steps` times more than a plain one.

    The finished student's score on the test split under PGD of the same eps stands in the report.

    Args:
        eps: how far inputs are moved, in raw units: of a pixel's 255 steps.
        steps: steps of the attack, which starts at random nearby.
        step: size of each step, as a share of eps.
        clean: share of the loss on inputs as they are, in [0, 1].
    """
    run.require("logits", "robust")
    teacher, loss = run.required_teacher("robust")
    if steps < 1 or step <= 0 or not 0 <= clean <= 1:
        raise ConfigError(
            f"scheme 'robust': steps = {steps} must be 1 or more, step = {step} above 0, and clean = {clean} in [0, 1]",
            'distill.scheme = {name = "robust", eps = 8, steps = 10, step = 0.25}',
        )
    attack = _Attack(reach(run.splits, eps), steps, step)
    together = nn.ModuleDict({"student": run.student, "loss": loss})
    result = trained(run, together, partial(_step, teacher, run.layers, attack, clean))
    judge = partial(
        score_under_pgd, run.student, run.splits, eps, MEASURED_BY,
        device=result.device, title=f"{run.title}: test set under attack",
    )  # fmt: skip
    source = f"{len(run.splits.test):,} test samples, attacked in white box"
    score = run.splits.task.quantity(distributed.from_main(judge), source)
    attacked_by = f"test set under PGD, {MEASURED_BY} steps, eps {eps:g}"
    return replace(result, along_the_way=(AlongTheWay(what=attacked_by, score=score),))


@dataclass(frozen=True)
class _Attack:
    reach: Reach
    steps: int
    step: float

    def __call__(self, student: nn.Module, x: Tensor, wanted: Tensor) -> Tensor:
        """x, moved to where the student is furthest from the teacher's probabilities; it starts 0.001 away at most."""

        def distance(logits: Tensor) -> Tensor:
            return F.kl_div(F.log_softmax(logits, dim=1), wanted, log_target=True, reduction="sum")

        start = (0.001 * torch.randn_like(x) / self.reach.eps.to(x.device)).clamp(-1, 1)
        return attacked(student, x, distance, self.reach, self.steps, self.step, start)


def _step(
    teacher: Teacher, layers: Sequence[str], attack: _Attack, clean: float, module: nn.ModuleDict, batch: Batch
) -> Tensor:
    student, loss = module["student"], module["loss"]
    taught = teacher(batch)
    moved = attack(student, batch.x, F.log_softmax(taught.logits, dim=1))

    def told(x: Tensor) -> Tensor:
        given: Outputs = answer(student, x, layers, batch.index)
        value: Tensor = loss(given, taught, batch.y)
        return value

    changed = (1 - clean) * told(moved)
    return changed + clean * told(batch.x) if clean else changed
