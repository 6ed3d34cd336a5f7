"""Decoupled distillation: the teacher's confidence in the labelled class and its probabilities of the other classes
have weights of their own (DKD: Zhao et al., 2022, arXiv:2203.08679)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.nn.outputs import Outputs


class DecoupledTargets(nn.Module):
    """T^2 * (alpha * KL(b_t || b_s) + beta * KL(q_t || q_s)), at temperature T

    Equation 7 of Zhao, Cui, Song, Qiu and Liang, "Decoupled knowledge distillation" (2022). b = (p, 1 - p) is the
    probability of the labelled class against all others together, and q the probabilities of the others among
    themselves. Soft targets are alpha = 1 with a beta of 1 - p_t, so that samples of which the teacher is confident
    say little about other classes; here beta is the same for all. Everything is computed from log-probabilities, where
    the authors' code adds small constants. Their training adds cross-entropy, `{name = "labels"}`, and lets this term
    grow over the first 20 epochs; ours has its whole weight throughout. With two classes there is one other class
    alone, and the second part is 0.

    Args:
        alpha: weight of the labelled class.
        beta: weight of the others; the paper has 1 to 10, more for teachers that are more confident.
        temperature: softens all distributions.
    """

    compares = "logits"

    def __init__(self, alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0) -> None:
        super().__init__()
        if temperature <= 0 or alpha < 0 or beta < 0:
            raise ValueError(
                f"temperature = {temperature} must be above 0, and alpha = {alpha} and beta = {beta} not below"
            )
        self.alpha, self.beta, self.temperature = alpha, beta, temperature

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of student.logits and teacher.logits, (N, classes), and class indices (N,)."""
        ours, theirs = (_decoupled(outputs.logits / self.temperature, labels) for outputs in (student, teacher))
        labelled, others = (
            F.kl_div(student_part, teacher_part, log_target=True, reduction="batchmean")
            for student_part, teacher_part in zip(ours, theirs, strict=True)
        )
        return self.temperature**2 * (self.alpha * labelled + self.beta * others)


def _decoupled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logarithms of b, (N, 2), and of q, (N, classes - 1)."""
    count, classes = logits.shape
    labelled = F.one_hot(labels, classes).bool()
    own, others = logits[labelled].reshape(count, 1), logits[~labelled].reshape(count, classes - 1)
    binary = torch.cat([own, others.logsumexp(1, keepdim=True)], dim=1)
    return F.log_softmax(binary, dim=1), F.log_softmax(others, dim=1)
