"""Soft targets: the student matches the teacher's softened probabilities (Hinton et al., 2015, arXiv:1503.02531)."""

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.nn.outputs import Outputs


class SoftTargets(nn.Module):
    """(1 - hard) * T^2 * KL(teacher_T || student_T) + hard * cross-entropy(student, labels)

    T^2 keeps the soft gradients on the scale of the hard ones, so that `hard` means the same at
    every temperature (section 2 of the paper).

    Args:
        temperature: softens both distributions; 1 leaves them as they are.
        hard: share of the hard-label term, in [0, 1].
    """

    compares = "logits"

    def __init__(self, temperature: float = 4.0, hard: float = 0.1) -> None:
        super().__init__()
        if temperature <= 0 or not 0 <= hard <= 1:
            raise ValueError(f"temperature = {temperature} must be above 0, and hard = {hard} in [0, 1]")
        self.temperature, self.hard = temperature, hard

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of student.logits and teacher.logits, (N, classes), and class indices (N,)."""
        t = self.temperature
        soft = F.kl_div(
            F.log_softmax(student.logits / t, dim=1),
            F.log_softmax(teacher.logits / t, dim=1),
            log_target=True,
            reduction="batchmean",
        )
        return (1 - self.hard) * t**2 * soft + self.hard * F.cross_entropy(student.logits, labels)
