"""The network that is to be shipped."""

from edgekd.config.base import Part, UserPath


class Student(Part):
    """Attributes:
    model: a model of the catalog, or "package.module:factory".
    checkpoint: a torch checkpoint to start from, or another build's `student.pt`, whose layers may be pruned already.
        With `distill.epochs = 0` the student stays as the checkpoint has it.
    """

    model: str = "resnet8"
    checkpoint: UserPath | None = None
