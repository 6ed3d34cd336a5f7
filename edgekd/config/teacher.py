"""What the student learns from: one teacher, or several that answer as one."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.base import Part, UserPath
from edgekd.config.training import Training


class Source(Part):
    """One teacher: a torch model, or one of `file`, `call` and `answers`, from outside torch.

    Attributes:
        model: a model of the catalog, or "package.module:factory".
        checkpoint: a torch checkpoint, or the `student.pt` of another build; with one, nothing is trained. It is read
            with `weights_only`, so that no code in it runs.
        file: a network in a file: .onnx, .tflite, .keras, or the folder of a SavedModel.
        call: "package.module:function", which takes (N, ...) float32 in NumPy and returns (N, classes).
        answers: an .npz with a teacher's outputs for the training samples, in the data set's order: `logits` or
            `probabilities` (N, classes), or `indices` and `probabilities` (N, k) of the k likeliest classes;
            `validation_...` and `test_...` for the other parts.
        gives: what `file` and `call` return; probabilities become their logarithms.
        input: what `file` and `call` take: inputs normalised as torch models take them, or raw as the data set has
            them.
    """

    model: str = "resnet20"
    checkpoint: UserPath | None = None
    file: UserPath | None = None
    call: str | None = Field(None, pattern=r"^[\w.]+:\w+$")
    answers: UserPath | None = None
    gives: Literal["logits", "probabilities"] = "logits"
    input: Literal["normalised", "raw"] = "normalised"

    @property
    def foreign(self) -> bool:
        """Whether it comes from outside torch."""
        return self.file is not None or self.call is not None or self.answers is not None

    @property
    def title(self) -> str:
        """What it is called in one line: its model, function or file."""
        outside = self.file or self.answers
        return outside.name if outside is not None else self.call or self.model


class Teacher(Training, Source):  # Source last: pydantic takes `extra` from the last base
    """The teacher; several answer as one, as `distill.combine` says.

    Attributes:
        members: how many networks of this model are trained, each from a seed of its own.
        also: further teachers, each with the settings of one: [[teacher.also]].
        specialists: how many networks learn to tell apart the classes that this one confuses, one for each cluster of
            classes (Hinton et al., 2015, section 5); 0 trains none.
    """

    members: PositiveInt = 1
    also: tuple[Source, ...] = ()
    specialists: int = Field(0, ge=0)

    @property
    def single(self) -> bool:
        """Whether it is one torch network, whose layers can be looked at."""
        return not (self.foreign or self.also or self.specialists or self.members > 1)
