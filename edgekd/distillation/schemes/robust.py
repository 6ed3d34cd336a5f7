"""Robust distillation: the student learns the teacher's clean answers on adversarial inputs too (RSLAD:
Zi et al., 2021, arXiv:2108.07969; before it ARD: Goldblum et al., 2020, arXiv:1905.09747)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.data.batches import Batch
from edgekd.distillation.run import DistillationRun, Teacher, train_module
from edgekd.distillation.schemes.robustness import Bounds, adversarial_inputs, perturbation_bounds, score_under_pgd
from edgekd.errors import ConfigError
from edgekd.nn.outputs import Outputs, answer
from edgekd.results import AlongTheWay
from edgekd.training import distributed
from edgekd.training.fit import FitResult

MEASURED_BY = 20  # steps of the attack by which the finished student is evaluated


def robust(
    run: DistillationRun, eps: float = 8.0, steps: int = 10, step: float = 0.25, clean: float = 1 / 6
) -> FitResult:
    """clean * loss(S(x), T(x)) + (1 - clean) * loss(S(x'), T(x)), where x' has the largest KL(S(x') || T(x)) near x

    RSLAD's objective, with its shares, eps, steps and step of 2 / 255. `distill.losses` are the loss: RSLAD itself is
    {name = "logits", temperature = 1, hard = 0}; with hard labels in it and clean = 0 it comes close to ARD, whose
    labels go with the clean inputs. The teacher answers on clean inputs alone, so stored answers serve; students learn
    more from a teacher that is robust itself. A step has `steps` more forward and backward passes of the student.

    The finished student's score on the test split under PGD of the same eps stands in the report.

    Args:
        eps: how far inputs are moved, in raw units: of a pixel's 255 steps.
        steps: steps of the attack, which starts at random nearby.
        step: size of each step, as a share of eps.
        clean: share of the loss on inputs as they are, in [0, 1].
    """
    run.require("logits", "robust")
    teacher, loss = run.require_teacher("robust")
    if steps < 1 or step <= 0 or not 0 <= clean <= 1:
        raise ConfigError(
            f"scheme 'robust': steps = {steps} must be 1 or more, step = {step} above 0, and clean = {clean} in [0, 1]",
            'distill.scheme = {name = "robust", eps = 8, steps = 10, step = 0.25}',
        )
    attack = _Attack(perturbation_bounds(run.splits, eps), steps, step)
    modules = nn.ModuleDict({"student": run.student, "loss": loss})
    result = train_module(run, modules, partial(_step, teacher, run.layers, attack, clean))
    evaluate = partial(
        score_under_pgd, run.student, run.splits, eps, MEASURED_BY,
        device=result.device, title=f"{run.title}: test set under attack",
    )  # fmt: skip
    source = f"{len(run.splits.test):,} test samples, attacked in white box"
    score = run.splits.task.quantity(distributed.from_main(evaluate), source)
    row_name = f"test set under PGD, {MEASURED_BY} steps, eps {eps:g}"
    return replace(result, along_the_way=(AlongTheWay(what=row_name, score=score),))


@dataclass(frozen=True)
class _Attack:
    bounds: Bounds
    steps: int
    step: float

    def __call__(self, student: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        """Move x to where the student differs most from the teacher's probabilities, starting within 0.001 of it."""

        def distance(logits: Tensor) -> Tensor:
            return F.kl_div(F.log_softmax(logits, dim=1), target, log_target=True, reduction="sum")

        start = (0.001 * torch.randn_like(x) / self.bounds.eps.to(x.device)).clamp(-1, 1)
        return adversarial_inputs(student, x, distance, self.bounds, self.steps, self.step, start)


def _step(
    teacher: Teacher, layers: Sequence[str], attack: _Attack, clean: float, module: nn.ModuleDict, batch: Batch
) -> Tensor:
    student, loss = module["student"], module["loss"]
    teacher_outputs = teacher(batch)
    inputs = attack(student, batch.x, F.log_softmax(teacher_outputs.logits, dim=1))

    def loss_on(x: Tensor) -> Tensor:
        outputs: Outputs = answer(student, x, layers, batch.index)
        value: Tensor = loss(outputs, teacher_outputs, batch.y)
        return value

    total = (1 - clean) * loss_on(inputs)
    return total + clean * loss_on(batch.x) if clean else total
