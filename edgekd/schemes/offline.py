"""The plain scheme: a finished teacher, which no longer changes, and a student."""

from edgekd.nn.fit import FitResult
from edgekd.nn.lesson import Lesson, learn


def offline(lesson: Lesson) -> FitResult:
    """Train the student under the teacher for all epochs."""
    return learn(lesson)
