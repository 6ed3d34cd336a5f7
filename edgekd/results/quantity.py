"""Gives every table of the report a number that is never printed without its origin."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Origin = Literal["counted", "measured", "measured-host", "emulated", "predicted", "given"]


class Record(BaseModel):
    """A frozen part of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Quantity(Record):
    """A number with its origin, or the reason why there is none."""

    value: float | None = None
    """The number; None if it is not known, and then `remedy` says how to obtain it."""

    unit: str
    """"%", "B", "ms", "MACs", "parameters", "x" (a ratio), "points", "steps", "outputs", "kappa", "CKA",
    "instructions", "instructions/MAC", or the unit of a task's score."""

    origin: Origin | None = None
    """counted: exactly, from a file or the graph. measured: on the target device. measured-host: on the machine that
    ran edgekd. emulated: instruction counts or outputs of an emulator. predicted: by a model or plan. given: set by the
    target or the user, such as a limit."""

    source: str = ""
    """What was measured, and by which script, kernel set, machine, model or plan."""

    error: float | None = None
    """The uncertainty in `unit`. For a score: one standard error over its test samples. For a latency, which is the
    lowest median of its rounds: the distance to the highest. For a ratio: the largest distance of a round from the
    median of the rounds. For a prediction: its error bar."""

    remedy: str = ""
    """The command or setting that would fill an empty quantity."""

    def model_post_init(self, _: Any) -> None:
        """Check that a value has an origin, and an empty quantity a remedy."""
        if self.value is not None and self.origin is None:
            raise ValueError("a figure with a value needs its origin")
        if self.value is None and not self.remedy:
            raise ValueError("a figure without a value needs the command that would fill it")
