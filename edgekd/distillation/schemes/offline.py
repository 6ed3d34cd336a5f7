"""The plain scheme: a finished teacher, which no longer changes, and a student."""

from edgekd.distillation.run import DistillationRun, learn
from edgekd.training.fit import FitResult


def offline(run: DistillationRun) -> FitResult:
    """Train the student under the teacher for all epochs."""
    return learn(run)
