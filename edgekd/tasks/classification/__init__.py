"""Classification with one label a sample: networks return logits, and are scored by their accuracy."""

from edgekd.results import TaskWords
from edgekd.tasks.classification.answers import LOGITS
from edgekd.tasks.classification.scoring import ACCURACY
from edgekd.tasks.classification.targets import LABELS
from edgekd.tasks.task import Task

WORDS = TaskWords(
    name="classification",
    score="accuracy",
    unit="%",
    difference="points",
    higher_is_better=True,
    lowest=0.0,
    highest=100.0,
    agreement="same top-1",
    agreement_unit="%",
    agreement_with_teacher="same answer as the teacher",
)

CLASSIFICATION = Task(WORDS, LABELS, LOGITS, ACCURACY)
