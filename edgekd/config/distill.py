"""Knowledge distillation: losses, scheme and training."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from edgekd.config.base import Part
from edgekd.config.training import Training


class Loss(Part):
    """One term of the distillation loss.

    Attributes:
        name: a loss of the catalog, or "package.module:Class".
        weight: the factor of this term in the sum.
    """

    name: str = "logits"
    weight: float = Field(1.0, ge=0)


class Scheme(Part):
    """A distillation scheme.

    Attributes:
        name: a scheme of the catalog, or "package.module:function"; its options stand beside it.
    """

    name: str = "offline"


class Distill(Training):
    """Attributes:
    epochs: passes over the training split; 0 takes `student.checkpoint` as it is.
    scheme: the order in which teacher and student learn: a name, or {name = "...", option = ...}.
    losses: the terms of the loss, summed by weight.
    views: the teacher's answers are stored for so many augmentation views, and epoch e trains on view e % views. With
        0, or with fewer epochs than views (those of prune and quantize count), each epoch is augmented afresh and the
        teacher runs beside the student. Without augmentation there is one view.
    combine: how several teachers answer as one: by the mean of their probabilities, plain, or weighted by each one's
        confidence in the sample or its validation score; or by their geometric mean, the mean of their logits.
    baseline: also train the same student without the teacher, so that the report can say what the teacher was worth.
    clip_norm: gradients are scaled down to this norm, because losses that compare layers begin with steep gradients; 0
        leaves them as they are.
    baseline_epochs: epochs of the training without the teacher; as many as `epochs` by default.
    seeds: how often both are trained, at seed, seed + 1 and so on; the student of the first is shipped. Three or more
        tell a gain from chance.
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
