"""Standardised logits: the student matches the teacher's logits after each sample's are standardised, at a scale of its
own (Sun et al., 2024, arXiv:2403.01427)."""

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.nn.outputs import Outputs

LEAST_VARIANCE = 1e-7  # added to the variance of a sample's logits; only logits that are all alike come near it


class StandardisedLogits(nn.Module):
    """T^2 * KL(softmax(Z(v) / T) || softmax(Z(z) / T)), where Z(z) = (z - mean(z)) / std(z), sample by sample

    Algorithms 1 and 2 of Sun, Ren, Li, Wang and Cao, "Logit standardization in knowledge distillation" (2024), of the
    student's logits z and the teacher's v: the temperature of each sample is T times its own standard deviation. Their
    weights are 9 for this term and 0.1 for the labels: `losses = [{name = "standardised", weight = 9},
    {name = "labels", weight = 0.1}]`. A student that learns from this term alone predicts the right classes, but with a
    wrong confidence, since the term does not depend on the scale of its logits.

    Args:
        temperature: T, the factor of each sample's standard deviation; the paper's is 2.
    """

    compares = "logits"

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature = {temperature} must be above 0")
        self.temperature = temperature

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of student.logits and teacher.logits, (N, classes)."""
        ours, theirs = (
            F.log_softmax(F.layer_norm(logits, logits.shape[1:], eps=LEAST_VARIANCE) / self.temperature, dim=1)
            for logits in (student.logits, teacher.logits)
        )
        return self.temperature**2 * F.kl_div(ours, theirs, log_target=True, reduction="batchmean")
