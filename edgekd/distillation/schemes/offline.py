"""Offline distillation: the student learns from a finished teacher, which no longer changes (Hinton et al., 2015,
arXiv:1503.02531)."""

from edgekd.distillation.run import DistillationRun, learn
from edgekd.training.fit import FitResult


def offline(run: DistillationRun) -> FitResult:
    """Train the student with the teacher for all epochs."""
    return learn(run)
