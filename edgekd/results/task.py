"""Gives every page of the report the words of a task: names, units and direction of its score and agreement."""

from edgekd.results.quantity import Record


class TaskWords(Record):
    """The words of a task, which are part of the report so that its pages can be rendered from the report alone."""

    name: str
    """The task's name in a config: "classification"."""

    score: str
    """The name of the score within a sentence."""

    unit: str
    """The unit of the score: "%", or the unit of the targets."""

    difference: str
    """The unit of the difference of two scores: "points" if they are in percent."""

    higher_is_better: bool

    lowest: float | None = None
    """The lower bound of the score; None if there is none."""

    highest: float | None = None
    """The upper bound of the score; None if there is none."""

    agreement: str
    """The heading of the column with the agreement or the distance of two networks' outputs: "same top-1"."""

    agreement_unit: str

    agreement_with_teacher: str
    """The name of the row with the agreement of student and teacher: "same answer as the teacher"."""

    def gain(self, score: float, other: float) -> float:
        """Return by how much a score is better than another one; it is negative if the score is worse."""
        return score - other if self.higher_is_better else other - score
