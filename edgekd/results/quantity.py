"""A number that can't be printed without saying how it came about."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Origin = Literal["counted", "measured", "measured-host", "emulated", "predicted", "given"]


class Record(BaseModel):
    """A frozen part of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Quantity(Record):
    """A number with its origin, or the reason why there is none."""

    value: float | None = None
    """None where it is not known; then `remedy` says what would fill it."""

    unit: str
    """"%", "B", "ms", "MACs", "parameters", "x" (a ratio), "points", "steps", "outputs", "kappa", "CKA",
    "instructions", "instructions/MAC", or the unit of a task's score."""

    origin: Origin | None = None
    """counted: exactly, from a file or the graph. measured: on the target device. measured-host: on the machine that
    ran edgekd. emulated: instruction counts or outputs of an emulator. predicted: by a model or plan. given: set by the
    target or the user, as a limit is."""

    source: str = ""
    """Of what, by what: the script, kernel set, machine, model or plan behind it."""

    error: float | None = None
    """How far off it may be, in `unit`. A score: one standard error over its test samples. A latency, which is the
    lowest median of its rounds: the distance to the highest. A ratio: the largest distance of a round from the median
    of the rounds. A prediction: its error bar."""

    remedy: str = ""
    """The command or setting that would fill an empty cell."""

    def model_post_init(self, _: Any) -> None:
        """A value has an origin, and an empty cell a way to fill it."""
        if self.value is not None and self.origin is None:
            raise ValueError("a figure with a value needs its origin")
        if self.value is None and not self.remedy:
            raise ValueError("a figure without a value needs the command that would fill it")
