"""How the teacher teaches."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from edgekd.config.base import Part
from edgekd.config.training import Training


class Loss(Part):
    """One term of the distillation loss."""

    name: str = "logits"
    weight: float = Field(1.0, ge=0)


class Scheme(Part):
    """How the teaching goes, by a name of the catalog; its options stand beside it."""

    name: str = "offline"


class Distill(Training):
    """Attributes:
    epochs: passes over the training split; 0 takes `student.checkpoint` as it is.
    scheme: how the teaching goes: a name, or {name = "...", option = ...}.
    losses: the terms, summed by weight.
    views: the teacher's answers are stored for so many augmentation views, and epoch e trains on view e % views. With
        fewer epochs than views, those of prune and quantize counted, and with 0, each epoch is augmented afresh and the
        teacher runs beside the student. Without augmentation one view is all there are.
    combine: how several teachers answer as one: the mean of their probabilities, plain, weighted by each one's
        confidence in the sample, or by its validation accuracy; or their geometric mean, the mean of their logits.
    baseline: also train the same student without the teacher, so that the ledger can say what the teacher was worth.
    clip_norm: as of any training; losses that look inside the networks begin with steep gradients.
    baseline_epochs: of that; as many as `epochs` by default. What the teacher itself cost is not counted.
    seeds: trainings of both, at seed, seed + 1, ...; the first one's student is shipped. Three or more tell a gain from
        luck.
    """

    scheme: Annotated[Scheme, BeforeValidator(lambda found: {"name": found} if isinstance(found, str) else found)] = (
        Scheme()
    )
    losses: tuple[Loss, ...] = (Loss(),)
    views: int = Field(8, ge=0)
    combine: Literal["mean", "confidence", "validation", "geometric"] = "mean"
    baseline: bool = True
    baseline_epochs: PositiveInt | None = None
    seeds: PositiveInt = 1
    epochs: int = Field(40, ge=0)
    clip_norm: float = Field(5.0, ge=0)
