"""Labels: cross-entropy with the labels, to be added to losses that do not look at them; labels may be smoothed
(Szegedy et al., 2016, arXiv:1512.00567)."""

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.nn.outputs import Outputs


class Labels(nn.Module):
    """cross-entropy(student, labels)

    Soft targets mix the labels in by a share of their own, as Hinton et al. do. All other losses of the catalog are
    the one term that their paper adds, and this is what they are added to:
    `distill.losses = [{name = "labels"}, {name = "dkd"}]`.

    Args:
        smoothing: share of each label that is spread evenly over all classes (Szegedy et al., 2016, section 7, who
            take 0.1), in [0, 1).
    """

    compares = "logits"
    asks_teacher = False

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing = {smoothing} must be in [0, 1)")
        self.smoothing = smoothing

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor) -> Tensor:
        """Return the loss, a scalar, of student.logits, (N, classes), and class indices (N,)."""
        return F.cross_entropy(student.logits, labels, label_smoothing=self.smoothing)
