"""What a task's score and agreement are called, and in which direction they count: the words of every page."""

from edgekd.results.quantity import Record


class TaskWords(Record):
    """The words of a task; they stand in the report, so that its pages are made from it and from nothing else."""

    name: str
    """As a config names the task: "classification"."""

    score: str
    """What the score is called within a sentence."""

    unit: str
    """Of the score: "%", or the unit of the targets."""

    difference: str
    """Of the difference of two scores: "points" where they are in percent."""

    higher_is_better: bool

    lowest: float | None = None
    """No score is below it."""

    highest: float | None = None
    """No score is above it."""

    agreement: str
    """What two networks' answers have in common, or how far they are apart, as a column is headed: "same top-1"."""

    agreement_unit: str

    agreement_with_teacher: str
    """The same of a student and its teacher, as a row is named: "same answer as the teacher"."""

    def gain(self, score: float, other: float) -> float:
        """By how much a score is better than another one; below 0 where it is worse."""
        return score - other if self.higher_is_better else other - score
