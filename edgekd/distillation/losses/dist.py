"""Correlated probabilities: the student's probabilities correlate with the teacher's, within a sample and within a
class, and need not be equal to them (DIST: Huang et al., 2022, arXiv:2205.10536)."""

from torch import Tensor, nn

from edgekd.distillation.losses.directions import unit
from edgekd.nn.outputs import Outputs


class PearsonRelations(nn.Module):
    """T^2 * (inter * (1 - mean over samples of r(p_s, p_t)) + intra * (1 - mean over classes of r(p_s, p_t)))

    The two losses of Huang, You, Wang, Qian and Xu, "Knowledge distillation from a stronger teacher" (2022): r is
    Pearson's correlation of class probabilities p, along a sample's classes, and along a class's samples in the batch.
    The probabilities need not be equal, so that a teacher which is far stronger does no harm. The authors add
    cross-entropy, `{name = "labels"}`; theirs is a T of 1 for ImageNet and of 4 for CIFAR-100. Ours differs where
    the correlation is not defined: a class to which the student gives the same probability for every sample counts
    as uncorrelated and has no gradient, and a batch of one sample has the first part alone.

    Args:
        inter: weight of the relation between the classes of a sample, the paper's beta.
        intra: weight of the relation between the samples of a class, the paper's gamma.
        temperature: softens both distributions.
    """

    compares = "logits"

    def __init__(self, inter: float = 1.0, intra: float = 1.0, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0 or inter < 0 or intra < 0:
            raise ValueError(
                f"temperature = {temperature} must be above 0, and inter = {inter} and intra = {intra} not below"
            )
        self.inter, self.intra, self.temperature = inter, intra, temperature

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of student.logits and teacher.logits, (N, classes)."""
        ours, theirs = ((outputs.logits / self.temperature).softmax(1) for outputs in (student, teacher))
        distance = self.inter * (1 - _correlation(ours, theirs, dim=1).mean())
        if len(ours) > 1:
            distance = distance + self.intra * (1 - _correlation(ours, theirs, dim=0).mean())
        return self.temperature**2 * distance


def _correlation(x: Tensor, y: Tensor, dim: int) -> Tensor:
    """Return Pearson's correlation along `dim`.

    Probabilities may be tiny and still differ, so the threshold below which values count as constant is tinier.
    """
    centred = (unit(values - values.mean(dim, keepdim=True), dim, least=1e-12) for values in (x, y))
    ours, theirs = centred
    return (ours * theirs).sum(dim)
