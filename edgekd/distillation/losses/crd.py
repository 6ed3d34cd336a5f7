"""Contrastive representation distillation: the student's vector of a sample identifies the teacher's vector of the same
sample among those of other samples (CRD: Tian et al., 2020, arXiv:1910.10699)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distillation.losses.directions import unit
from edgekd.errors import ConfigError, TrainingError
from edgekd.nn.layers import Networks, Pair
from edgekd.nn.outputs import Outputs
from edgekd.training import distributed

BANK_SPREAD = math.sqrt(3)  # a bank starts uniform in +-spread / sqrt(width), so that vectors have a length of about 1


class ContrastiveRepresentation(nn.Module):
    """-(log h(s, t) + sum over negatives t' of log(1 - h(s, t'))), and the same from the teacher's side with s'

    h(s, t) = e / (e + K / samples) with e = exp(s . t / temperature) / Z: section 3.1 of Tian, Krishnan and Isola,
    "Contrastive representation distillation" (2020). s and t are learnt linear projections of what the classifiers
    take, scaled to length 1. Two memory banks hold s and t of every training sample, by the sample's index; negatives
    are drawn from them, and each update moves a vector by `momentum`. Z is set from the first batch, once for each
    side, so that the mean of e over its positives and negatives is 1 / samples.

    We differ in two ways. The negatives are drawn once for a batch, not for each of its samples, which costs a product
    of matrices where the paper gathers N * K vectors. And they come from the whole training split; the authors' code
    leaves out those of the sample's own class. The authors' weight is 0.8, beside the labels (`{name = "labels"}`).

    The banks take 8 * samples * width bytes, and are part of checkpoints. Under `torchrun` the processes share the
    vectors that they write, so that all of them hold the same banks.

    Args:
        layers: one pair of layers, "student's:teacher's"; by default the inputs of the classifiers.
        width: width of the projections.
        negatives: K, the number of negatives; never more than there are training samples.
        temperature: temperature of the similarities, as in the authors' code.
        momentum: share of a bank's vector that stays when its sample is seen again.
    """

    student_bank: Tensor
    teacher_bank: Tensor
    log_z: Tensor

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        width: int = 128,
        negatives: int = 16384,
        temperature: float = 0.07,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        if temperature <= 0 or not 0 <= momentum < 1 or width < 1 or negatives < 1:
            raise ValueError(
                f"temperature = {temperature} must be above 0, momentum = {momentum} in [0, 1), and "
                f"width = {width} and negatives = {negatives} at least 1"
            )
        self.layers, self.width, self.negatives = layers, width, negatives
        self.temperature, self.momentum = temperature, momentum
        self.pairs: tuple[Pair, ...] = ()

    def connect(self, networks: Networks) -> None:
        """Choose the layers; make the projections, and the banks for all training samples."""
        self.pairs = networks.embeddings(self.layers, "crd")
        if len(self.pairs) > 1:
            raise ConfigError(
                f"loss 'crd' compares one pair of layers, and was given {len(self.pairs)}",
                'a term of its own for each: losses = [{name = "crd", layers = ["A"]}, {name = "crd", layers = ["B"]}]',
            )
        (pair,) = self.pairs
        self.project_student = nn.Linear(math.prod(pair.student.shape), self.width)
        self.project_teacher = nn.Linear(math.prod(pair.teacher.shape), self.width)
        self.samples = networks.samples
        reach = BANK_SPREAD / math.sqrt(self.width)
        for bank in ("student_bank", "teacher_bank"):
            self.register_buffer(bank, torch.empty(self.samples, self.width).uniform_(-reach, reach))
        self.register_buffer("log_z", torch.full((2,), math.nan))

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of features (N, ...) and student.index (N,); in training mode update the banks."""
        (pair,) = self.pairs
        index = student.index
        if index is None:
            raise TrainingError(
                "loss 'crd' looks training samples up by their index, and these inputs have none",
                "a scheme that teaches on the training split, or another loss",
            )
        ours = unit(self.project_student(student.features[pair.student.name].flatten(1)))
        theirs = unit(self.project_teacher(teacher.features[pair.teacher.name].flatten(1)))
        count = min(self.negatives, self.samples)
        negatives = torch.randint(self.samples, (count,), device=index.device)
        loss = self._contrast(ours, self.teacher_bank, index, negatives, side=0)
        loss = loss + self._contrast(theirs, self.student_bank, index, negatives, side=1)
        if self.training:
            self._update_banks(index, ours.detach(), theirs.detach())
        return loss

    def _contrast(self, x: Tensor, bank: Tensor, index: Tensor, negatives: Tensor, side: int) -> Tensor:
        """Return the noise-contrastive estimate of one side; log(h) and log(1 - h) are those of a logistic function."""
        same = (x * bank[index]).sum(1, keepdim=True) / self.temperature
        other = x @ bank[negatives].T / self.temperature
        if self.log_z[side].isnan():
            similarities = torch.cat([same, other], dim=1).detach().flatten()
            self.log_z[side] = similarities.logsumexp(0) - math.log(len(similarities)) + math.log(self.samples)
        shift = self.log_z[side] + math.log(len(negatives) / self.samples)
        return -(F.logsigmoid(same - shift).sum(1) + F.logsigmoid(shift - other).sum(1)).mean()

    @torch.no_grad()
    def _update_banks(self, index: Tensor, ours: Tensor, theirs: Tensor) -> None:
        for bank, x in ((self.student_bank, ours), (self.teacher_bank, theirs)):
            rows, vectors = _gather(index), _gather(x)
            bank[rows] = unit(self.momentum * bank[rows] + (1 - self.momentum) * vectors)


def _gather(x: Tensor) -> Tensor:
    """Return the rows of all processes, one process after the other; each has as many."""
    if distributed.world() == 1:
        return x
    distributed.connect()
    rows = [torch.empty_like(x) for _ in range(distributed.world())]
    torch.distributed.all_gather(rows, x.contiguous())
    return torch.cat(rows)
